// An Autobahn client by the npm package ws, as its own does it: node autobahn-ws.mjs URL
import { once } from "node:events";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.SOCKEYE_TEST_NODE_MODULES}/`);
const { WebSocket } = require("ws");
const [url] = process.argv.slice(2);

// Texts are checked and compression is offered by default, and used from 1 KiB on. The longest case has 65,537 fragments,
// and 16,384 are the default.
const options = { maxFragments: 131072, maxPayload: 64 * 1024 * 1024, perMessageDeflate: { threshold: 0 } };
const connect = (path) => new WebSocket(`${url}${path}`, options);

/** Echoes until the connection is closed, by an error or without one. */
function play(socket) {
  return new Promise((resolve) => {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on("error", () => {});
    socket.on("close", resolve);
  });
}

const [count] = await once(connect("/getCaseCount"), "message");
for (let number = 1; number <= Number(count); number += 1) {
  await play(connect(`/runCase?case=${number}&agent=ws`));
}
await once(connect("/updateReports?agent=ws"), "close");
