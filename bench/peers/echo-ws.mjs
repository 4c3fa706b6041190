// An echo server by the npm package ws, as its Autobahn server does it: node echo-ws.mjs ADDR; with "broadcast" behind it,
// what one sends all get, as its README does it.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.SOCKEYE_TEST_NODE_MODULES}/`);
const { WebSocket, WebSocketServer } = require("ws");
const [address, role] = process.argv.slice(2);
const [host, port] = address.split(":");

// Texts are checked by default. Compression is off by default, and from 1 KiB on where it is on. The longest case has 65,537
// fragments, and 16,384 are the default.
const server = new WebSocketServer({
  host,
  port,
  maxFragments: 131072,
  maxPayload: 64 * 1024 * 1024,
  perMessageDeflate: { threshold: 0 },
});

const echo = (socket, data, binary) => socket.send(data, { binary });
const broadcast = (_, data, binary) => {
  for (const client of server.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(data, { binary });
  }
};
const answer = role === "broadcast" ? broadcast : echo;

server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => answer(socket, data, isBinary));
  // Without a listener an error would end the process; most cases end a connection by one on purpose.
  socket.on("error", () => {});
});
server.on("listening", () => console.log(`listening on ${host}:${server.address().port}`));
