// A page's own WebSocket, in Chromium without a window: node chromium_client.mjs URL COMPRESSION
// A page cannot send fragments or pings, nor choose its compression.
import { createRequire } from "node:module";
import * as suite from "./suite.mjs";

const require = createRequire(`${process.env.SOCKEYE_TEST_NODE_MODULES}/`);
const { chromium } = require("playwright-core");
const [url] = process.argv.slice(2);

async function exchange({ url, lengths, unicode, subprotocol, ourClose, theirClose }) {
  function open(path) {
    const socket = new WebSocket(`${url}${path}`, ["other", subprotocol]);
    socket.binaryType = "arraybuffer";
    const inbox = [];
    const waiting = [];
    socket.onmessage = ({ data }) => {
      const take = waiting.shift();
      if (take) take(data);
      else inbox.push(data);
    };
    const next = () =>
      inbox.length ? inbox.shift() : new Promise((resolve) => waiting.push(resolve));
    const opened = new Promise((resolve) => { socket.onopen = resolve; });
    const closed = new Promise((resolve) => { socket.onclose = resolve; });
    return { socket, next, opened, closed };
  }
  function same(seen, expected) {
    const plain = (value) => (value instanceof ArrayBuffer ? [...new Uint8Array(value)] : value);
    const [left, right] = [seen, expected].map((value) => JSON.stringify(plain(value)));
    if (left !== right) throw new Error(`${left.slice(0, 99)} is not ${right.slice(0, 99)}`);
  }

  const echo = open("/echo");
  await echo.opened;
  const { protocol, extensions } = echo.socket;
  same(protocol, subprotocol);
  const texts = [...lengths.map((length) => "x".repeat(length)), ...unicode];
  const binary = lengths.map((n) => Uint8Array.from({ length: n }, (_, i) => (i * 7) % 256).buffer);
  for (const message of [...texts, ...binary]) {
    echo.socket.send(message);
    same(await echo.next(), message);
  }
  echo.socket.close(...ourClose);
  const answered = await echo.closed;
  same([answered.code, answered.reason, answered.wasClean], [...ourClose, true]);

  const fragments = open("/fragments");
  same(await fragments.next(), "fragments ✓");
  same(await fragments.next(), Uint8Array.of(0, 255, 128).buffer);
  const ping = open("/ping");
  same(await ping.next(), "ponged");
  const { code, reason, wasClean } = await open("/close").closed;
  same([code, reason, wasClean], [...theirClose, true]);
  return extensions;
}

const browser = await chromium.launch({
  executablePath: process.env.SOCKEYE_TEST_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
try {
  const page = await browser.newPage();
  const { LENGTHS: lengths, UNICODE: unicode, SUBPROTOCOL: subprotocol } = suite;
  const closes = { ourClose: suite.OUR_CLOSE, theirClose: suite.THEIR_CLOSE };
  const extensions = await page.evaluate(exchange, { url, lengths, unicode, subprotocol, ...closes });
  suite.report({ extensions, passed: true });
} finally {
  await browser.close();
}
