// A client by the npm package ws: node ws_client.mjs URL COMPRESSION [ROOTS]
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import * as suite from "./suite.mjs";

const require = createRequire(`${process.env.SOCKEYE_TEST_NODE_MODULES}/`);
const { WebSocket } = require("ws");
const [url, compression, roots] = process.argv.slice(2);

function open(path) {
  const socket = new WebSocket(`${url}${path}`, ["other", suite.SUBPROTOCOL], {
    ca: roots && readFileSync(roots),
    perMessageDeflate: compression !== "off" && { threshold: 0 },
  });
  // Kept from the start: what follows the handshake at once must not be missed.
  socket.inbox = [];
  socket.on("message", (data, isBinary) => {
    socket.inbox.push(isBinary ? new Uint8Array(data) : data.toString());
    socket.emit("arrived");
  });
  socket.on("upgrade", (response) => {
    socket.answer = response.headers["sec-websocket-extensions"] ?? "";
  });
  socket.closed = once(socket, "close").then(([code, reason]) => [code, reason.toString()]);
  return socket;
}

async function next(socket) {
  while (socket.inbox.length === 0) await once(socket, "arrived");
  return socket.inbox.shift();
}

async function echo() {
  const socket = open("/echo");
  await once(socket, "open");
  assert.equal(socket.protocol, suite.SUBPROTOCOL);
  const texts = [...suite.LENGTHS.map(suite.text), ...suite.UNICODE];
  for (const message of [...texts, ...suite.LENGTHS.map(suite.bytes)]) {
    socket.send(message);
    assert.deepEqual(await next(socket), message);
  }
  socket.send("frag", { fin: false });
  socket.send("ments ✓");
  assert.equal(await next(socket), "fragments ✓");
  socket.ping("are you there?");
  assert.equal((await once(socket, "pong")).toString(), "are you there?");
  socket.close(...suite.OUR_CLOSE);
  assert.deepEqual(await socket.closed, suite.OUR_CLOSE);
  return socket.answer;
}

async function receive() {
  const fragments = open("/fragments");
  assert.equal(await next(fragments), "fragments ✓");
  assert.deepEqual(await next(fragments), Uint8Array.of(0, 255, 128));
  fragments.close();
  const ping = open("/ping");
  assert.equal(await next(ping), "ponged");
  ping.close();
  assert.deepEqual(await open("/close").closed, suite.THEIR_CLOSE);
}

const extensions = await echo();
await receive();
suite.report({ extensions, passed: true });
