// The console: connect, send text and binary, close with a code and reason, and see each of it.

import assert from "node:assert/strict";

import { startServer, stopServer, withBrowser } from "./support.mjs";

await withBrowser(async (browser) => {
  const server = await startServer();
  const page = await browser.newPage();
  page.on("pageerror", (error) => assert.fail(`the page threw: ${error}`));
  await page.goto(server.url);
  const entry = (selector) => page.waitForSelector(`#log > li${selector}`);

  assert.equal(await page.inputValue("#url"), `ws://${server.address}/echo`);
  await page.click("#connect");
  await entry('[data-kind="open"][data-protocol=""][data-extensions=""]');
  await page.waitForSelector('#ready-state[data-state="1"]');

  await page.fill("#payload", "grüß dich 🌊");
  await page.click("#send");
  await entry('[data-kind="sent"][data-type="text"]');
  await entry(`[data-kind="received"][data-type="text"][data-size="${Buffer.byteLength("grüß dich 🌊")}"]`);

  await page.check("#kind-hex", { force: true });
  await page.fill("#payload", "00 ff 10");
  await page.click("#send");
  await entry('[data-kind="received"][data-type="binary"][data-size="3"]');

  await page.fill("#close-code", "3001");
  await page.fill("#close-reason", "enough");
  await page.click("#disconnect");
  await entry('[data-kind="close"][data-code="3001"][data-reason="enough"][data-clean="true"]');
  await page.waitForSelector('#ready-state[data-state="3"]');

  assert.equal(await stopServer(server), 0);
});
