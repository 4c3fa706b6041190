// An echo server by the npm package ws: node ws_server.mjs COMPRESSION [CERTIFICATE KEY]
import { readFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { createRequire } from "node:module";
import { SUBPROTOCOL, THEIR_CLOSE, report } from "./suite.mjs";

const require = createRequire(`${process.env.SOCKEYE_TEST_NODE_MODULES}/`);
const { WebSocketServer } = require("ws");
const [compression, certificate, key] = process.argv.slice(2);

const fresh = compression === "no-takeover";
const perMessageDeflate = compression !== "off" && {
  threshold: 0,
  serverNoContextTakeover: fresh,
  clientNoContextTakeover: fresh,
};
const http = certificate
  ? createHttps({ cert: readFileSync(certificate), key: readFileSync(key) })
  : createHttp();
const server = new WebSocketServer({
  server: http,
  perMessageDeflate,
  handleProtocols: (offered) => offered.has(SUBPROTOCOL) && SUBPROTOCOL,
});

server.on("headers", (lines, request) => {
  const prefix = "sec-websocket-extensions: ";
  const line = lines.find((line) => line.toLowerCase().startsWith(prefix));
  request.extensions = line ? line.slice(prefix.length) : "";
});

const routes = {
  "/echo"(socket, request) {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on("close", (code, reason) =>
      report({ extensions: request.extensions, close: [code, reason.toString()] }));
  },
  "/fragments"(socket) {
    socket.send("frag", { fin: false });
    socket.send("", { fin: false });
    socket.send("ments ✓");
    socket.send(Buffer.from([0, 255]), { fin: false });
    socket.send(Buffer.from([128]));
  },
  "/ping"(socket) {
    socket.on("pong", (payload) => socket.send(payload.toString()));
    socket.ping("are you there?");
  },
  "/close"(socket) {
    socket.close(...THEIR_CLOSE);
  },
};

server.on("connection", (socket, request) => routes[request.url](socket, request));
http.listen(0, "127.0.0.1", () => report({ port: http.address().port }));
