// The page of a report: filters, the keyboard, the panel, and a peer that sent markup.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { REPORT, EVIL, SCREENSHOTS, SOCKEYE_TEST_NODE_MODULES, SOCKEYE_TEST_CHROMIUM } = process.env;
const require = createRequire(join(SOCKEYE_TEST_NODE_MODULES, "anchor.js"));
const { chromium } = require("playwright-core");
const ADDRESS = pathToFileURL(REPORT).href;
const RESULT = "#Otter%201.4/5.19";

/** Runs `test` with a browser that is closed after; nothing may complain or be asked for but the report itself. */
async function withBrowser(test) {
  const profile = mkdtempSync(join(tmpdir(), "sockeye-browser-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: SOCKEYE_TEST_CHROMIUM,
    headless: true,
    viewport: { width: 1280, height: 800 },
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  browser.setDefaultTimeout(30_000);
  const troubles = [];
  browser.on("request", (request) => {
    if (!request.url().startsWith(ADDRESS) && !request.url().startsWith("data:")) troubles.push(`asked for ${request.url()}`);
  });
  browser.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) troubles.push(`console: ${message.text()}`);
  });
  browser.on("weberror", (error) => troubles.push(`threw: ${error.error()}`));
  try {
    await test(browser);
    assert.deepEqual(troubles, []);
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  }
  console.log("done");
}

async function open(browser, hash = "") {
  const page = await browser.newPage();
  await page.goto(ADDRESS + hash);
  await page.waitForSelector("#cases:not([hidden])");
  return page;
}

const shown = (page) => page.locator("#matrix tr.case:visible").evaluateAll((rows) => rows.map((row) => row.dataset.id));
const focused = (page) => page.evaluate(() => document.activeElement.getAttribute("href") ?? document.activeElement.id);

async function filters(page) {
  assert.equal(await page.textContent("#shown"), "650 cases");
  await page.click("#failures");
  const failing = await shown(page);
  assert.ok(failing.includes("5.19") && failing.length < 650, `${failing.length} are shown`);
  assert.equal(await page.textContent("#shown"), `${failing.length} of 650 cases`);
  assert.equal(await page.getAttribute('#verdicts [data-v="FAILED"]', "aria-pressed"), "true");
  assert.equal(await page.getAttribute('#verdicts [data-v="OK"]', "aria-pressed"), "false");

  await page.fill("#words", "fragmentation 5.1");
  for (const id of await shown(page)) assert.match(id, /5\.1/);
  await page.fill("#words", "no case has these words");
  await page.waitForSelector("#nothing:not([hidden])");
  await page.click("#reset");
  assert.equal(await page.textContent("#shown"), "650 cases");

  await page.selectOption("#section", { label: "2 Ping and pong" });
  assert.deepEqual(await shown(page), Array.from({ length: 11 }, (_, at) => `2.${at + 1}`));
  await page.selectOption("#section", "");
}

async function folds(page) {
  await page.click("#fold");
  assert.deepEqual(await shown(page), []);
  const section = page.locator("tr.section", { hasText: "Ping and pong" });
  await section.locator("button").focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await section.getAttribute("aria-expanded"), "true");
  assert.equal((await shown(page)).length, 11);
  await page.keyboard.press("ArrowLeft");
  assert.equal(await section.getAttribute("aria-expanded"), "false");
}

async function keyboard(page) {
  await page.fill("#words", "5.19");
  await page.focus("#words");
  // One stop for the whole matrix: the Tab key leads in, the arrows go on from there.
  await page.locator("#matrix [tabindex='0']").focus();
  assert.equal(await page.locator("#matrix [tabindex='0']").count(), 1);
  for (const key of ["Control+Home", "ArrowDown", "ArrowRight", "ArrowRight"]) await page.keyboard.press(key);
  assert.equal(await focused(page), RESULT);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#panel:not([hidden])");
  assert.equal(new URL(page.url()).hash, RESULT);
  assert.equal(await focused(page), "panel");
}

async function details(page) {
  assert.equal(await page.textContent("#panel-agent"), "Otter 1.4");
  assert.match(await page.textContent("#panel-body"), /5\.19.*RFC 6455, section 5\.4/s);
  assert.ok((await page.textContent(".reason")).endsWith(EVIL));
  assert.equal(await page.textContent(".differs td:first-child mark"), "fragment1fragment2");
  assert.equal(await page.textContent(".differs td:last-child mark"), EVIL);
  assert.equal(await page.textContent(".wire .gap"), "12 more, left out");
  assert.equal(await page.locator(".wire li[data-by=tester]").count(), 5);
  assert.equal(await page.locator(".wire li[data-by=peer]").count(), 4);
  const evil = page.locator(".wire li", { hasText: "TEXT, 77 bytes" });
  assert.equal(await evil.locator(".payload").textContent(), EVIL);
  assert.equal(await evil.locator("details code").isVisible(), false);
  await evil.locator("summary").click();
  assert.match(await evil.locator("details code").textContent(), /^3c 2f 73 /);
  assert.equal(await page.evaluate(() => window.ran), undefined);
  assert.equal(await page.locator("#panel img, #panel script").count(), 0);
}

async function leaves(page) {
  await page.keyboard.press("Escape");
  await page.waitForSelector("#panel", { state: "hidden" });
  assert.equal(await focused(page), RESULT);
  assert.equal(new URL(page.url()).hash, "");
}

/** A link leads to its result; from there one steps to the next case and back with the browser's own button. */
async function link(browser) {
  const page = await open(browser, RESULT);
  await page.waitForSelector("#panel:not([hidden])");
  assert.match(await page.textContent(".kicker"), /^5\.19/);
  await page.click("#next");
  await page.waitForFunction(() => document.querySelector(".kicker").textContent.startsWith("5.20"));
  await page.click("#close");
  await page.waitForSelector("#panel", { state: "hidden" });
  await page.close();
}

/** On a narrow screen nothing is wider than the screen. */
async function phone(browser) {
  const page = await open(browser);
  await page.setViewportSize({ width: 390, height: 780 });
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}-phone.png`, clip: { x: 0, y: 0, width: 390, height: 1500 }, fullPage: true });
  assert.equal(await width(), 390);
  await page.evaluate((hash) => (location.hash = hash), RESULT);
  await page.waitForSelector("#panel:not([hidden])");
  assert.equal(await width(), 390);
  if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}-phone-panel.png` });
  await page.close();
}

/** Without scripts the table of the agents is there. */
async function withoutScripts(browser) {
  const bare = await browser.browser().newContext({ javaScriptEnabled: false });
  const page = await bare.newPage();
  await page.goto(ADDRESS);
  assert.equal(await page.locator(".agents tbody tr:visible").count(), 8);
  assert.ok(await page.locator("noscript p").isVisible());
  await bare.close();
}

/** Pictures of the page for people to look at, where a run asks for them. */
async function pictures(browser) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(browser);
    const take = (name) => page.screenshot({ path: `${SCREENSHOTS}-${colorScheme}-${name}.png` });
    await page.setViewportSize({ width: 1360, height: 800 });
    await page.emulateMedia({ colorScheme });
    await take("top");
    await page.click("#failures");
    await page.evaluate(() => (location.hash = "#Kingfisher%200.9/7.3.2"));
    await page.waitForSelector("#panel:not([hidden])");
    await take("panel");
    await page.evaluate((hash) => (location.hash = hash), RESULT);
    await page.locator(".wire li").last().scrollIntoViewIfNeeded();
    await take("wire");
    await page.close();
  }
}

await withBrowser(async (browser) => {
  const page = await open(browser);
  await filters(page);
  await folds(page);
  await keyboard(page);
  await details(page);
  await leaves(page);
  await link(browser);
  await phone(browser);
  await withoutScripts(browser);
  if (SCREENSHOTS) await pictures(browser);
});
