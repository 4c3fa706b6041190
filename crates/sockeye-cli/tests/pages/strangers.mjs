// What strangers say in a chat: markup, names without end, control characters, text that turns the direction.

import assert from "node:assert/strict";

import { startServer, stopServer, withBrowser } from "./support.mjs";

const MARKUP = `<img src=x onerror="window.harmed=1"><script>window.harmed=1</script><a href="javascript:harmed=1">x</a>`;
const TURNED = "\u202Eesrever\u202C and \u2066isolated";
const CONTROL = "bell\u0007, NUL\u0000 and escape\u001b[2J";

/** Says something over HTTP, and returns nothing but that it was taken. */
async function publish(url, text) {
  const headers = { "content-type": "text/plain; charset=utf-8" };
  const answer = await fetch(`${url}/t/harbour`, { method: "POST", headers, body: text });
  assert.equal(answer.status, 200);
}

/** Returns what a chat page would send. */
function words(id, name, text) {
  return JSON.stringify({ type: "message", id, name, text, at: 1_763_726_400_000 });
}

await withBrowser(async (browser) => {
  const server = await startServer();
  const page = await browser.newPage();
  page.on("pageerror", (error) => assert.fail(`the page threw: ${error}`));
  await page.goto(`${server.url}/chat#harbour`);
  await page.waitForSelector('#status[data-state="open"]');

  const said = [
    MARKUP,
    words("1", MARKUP, MARKUP),
    words("2", "n".repeat(10_000), TURNED),
    words("3", CONTROL, CONTROL),
    words("4", TURNED, "the last"),
  ];
  for (const text of said) await publish(server.url, text);
  await page.waitForSelector('#messages > li[data-text="the last"]');

  // The server has kept and passed on every byte as it was, among what the page says of itself.
  const kept = await (await fetch(`${server.url}/t/harbour?history`)).json();
  assert.ok(said.every((text) => kept.messages.some(({ data }) => data === text)));

  // The page shows all of it as text, and none of it has become anything else.
  const seen = await page.evaluate(() =>
    Array.from(document.querySelectorAll("#messages > li"), (entry) => ({
      name: entry.querySelector(".by bdi").textContent,
      text: entry.querySelector(".text").textContent,
      direction: entry.querySelector(".text").dir,
      foreign: entry.querySelectorAll("img, script, a, [onerror]").length,
    })),
  );
  assert.deepEqual(seen.map(({ text }) => text), [MARKUP, MARKUP, TURNED, CONTROL, "the last"]);
  for (const { foreign, direction } of seen) assert.deepEqual([foreign, direction], [0, "auto"]);
  assert.equal(seen[1].name, `${MARKUP.slice(0, 39)}…`);
  assert.equal(seen[2].name, `${"n".repeat(39)}…`);
  assert.equal(seen[3].name, "bell , NUL and escape [2J");
  assert.equal(seen[4].name, TURNED);
  assert.equal(await page.evaluate(() => window.harmed), undefined);

  await page.close();
  assert.equal(await stopServer(server), 0);
});
