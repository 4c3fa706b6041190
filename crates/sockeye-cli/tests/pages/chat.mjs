// Two chat pages, a Unicode name, a server that stops and returns.

import assert from "node:assert/strict";

import { startServer, stopServer, withBrowser } from "./support.mjs";

const NAMES = ["Алёна 🐟", "Søren ⚓"];

async function join(browser, url, name) {
  const page = await browser.newPage();
  page.on("pageerror", (error) => assert.fail(`the page threw: ${error}`));
  await page.goto(`${url}/chat#harbour`);
  await page.fill("#name", name);
  await page.press("#name", "Enter");
  await page.waitForSelector('#status[data-state="open"]');
  await page.waitForSelector(`#who > li[data-name="${name}"]`);
  return page;
}

async function say(page, text) {
  await page.fill("#message", text);
  await page.press("#message", "Enter");
}

function hears(page, from, text) {
  return page.waitForSelector(`#messages > li[data-from="${from}"][data-text="${text}"]`);
}

/** Keeps all that the page says of its connection from now on. Runs in the page. */
function recordStatus() {
  const status = document.querySelector("#status");
  window.recorded = [];
  const record = () => window.recorded.push(status.textContent);
  new MutationObserver(record).observe(status, { childList: true, characterData: true, subtree: true });
}

await withBrowser(async (browser) => {
  let server = await startServer();
  const [first, second] = NAMES;
  const here = await join(browser, server.url, first);
  const there = await join(browser, server.url, second);

  // Each sees the other, by the very name.
  await here.waitForSelector(`#who > li[data-name="${second}"]`);
  await there.waitForSelector(`#who > li[data-name="${first}"]`);

  // Both ways.
  await say(here, "Is the tide in?");
  await hears(there, first, "Is the tide in?");
  await say(there, "Since noon ⚓");
  await hears(here, second, "Since noon ⚓");
  await here.waitForSelector('#messages > li[data-text="Is the tide in?"][data-state="delivered"]');
  if (process.env.SCREENSHOT) await here.screenshot({ path: process.env.SCREENSHOT });

  // The server stops: the pages say so, with the code it gave, however soon they try again.
  for (const page of [here, there]) await page.evaluate(recordStatus);
  assert.equal(await stopServer(server), 0);
  for (const page of [here, there]) {
    await page.waitForFunction(() => window.recorded.some((text) => /closed.*1012/is.test(text)));
  }

  // It returns on the same address: the pages come back by themselves.
  server = await startServer(server.address);
  for (const page of [here, there]) await page.waitForSelector('#status[data-state="open"]');
  await say(here, "Still there?");
  await hears(there, first, "Still there?");

  await browser.pages().reduce((closing, page) => closing.then(() => page.close()), Promise.resolve());
  assert.equal(await stopServer(server), 0);
});
