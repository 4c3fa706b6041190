// What the page tests share: the real server as a child process, and a browser.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const { SOCKEYE, SOCKEYE_TEST_NODE_MODULES, SOCKEYE_TEST_CHROMIUM } = process.env;
const require = createRequire(join(SOCKEYE_TEST_NODE_MODULES, "anchor.js"));
const { chromium } = require("playwright-core");

/** Every server that was started: none outlives the script, even when an assertion fails. */
const servers = new Set();

/** Starts `sockeye serve` and waits for its ready line. */
export async function startServer(listen = "127.0.0.1:0") {
  const child = spawn(SOCKEYE, ["serve", "--listen", listen], { stdio: ["ignore", "pipe", "inherit"] });
  servers.add(child);
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const match = /^listening on (http:\/\/(.+))$/.exec(line);
  if (!match) throw new Error(`unexpected ready line: ${line}`);
  return { url: match[1], address: match[2], child };
}

/** Stops a server as an operator would, and returns its exit code. */
export async function stopServer({ child }) {
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  const [code] = await exit;
  return code;
}

/** Runs `test` with a browser that is closed after, and says so at the end. */
export async function withBrowser(test) {
  const profile = mkdtempSync(join(tmpdir(), "sockeye-browser-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: SOCKEYE_TEST_CHROMIUM,
    headless: true,
    viewport: { width: 1100, height: 760 },
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  browser.setDefaultTimeout(30_000);
  try {
    await test(browser);
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
    for (const child of servers) child.kill("SIGKILL");
  }
  console.log("done");
}
