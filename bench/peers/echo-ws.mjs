// An echo server by the npm package ws, as its Autobahn server does it: node echo-ws.mjs ADDR
import { createRequire } from "node:module";

const require = createRequire(`${process.env.SOCKEYE_TEST_NODE_MODULES}/`);
const { WebSocketServer } = require("ws");
const [host, port] = process.argv[2].split(":");

// Texts are checked by default. Compression is off by default, and from 1 KiB on where it is on. The longest case has 65,537
// fragments, and 16,384 are the default.
const server = new WebSocketServer({
  host,
  port,
  maxFragments: 131072,
  maxPayload: 64 * 1024 * 1024,
  perMessageDeflate: { threshold: 0 },
});

server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  // Without a listener an error would end the process; most cases end a connection by one on purpose.
  socket.on("error", () => {});
});
server.on("listening", () => console.log(`listening on ${host}:${server.address().port}`));
