// An echo server by Bun, as the guides of its documentation do it: bun echo-bun.mjs ADDR; with "broadcast" behind it, what
// one sends all get, by its own publish and subscribe.
const [address, role] = process.argv.slice(2);
const [hostname, port] = address.split(":");
const broadcasts = role === "broadcast";

const server = Bun.serve({
  hostname,
  port,
  fetch(request, server) {
    if (server.upgrade(request)) return;
    return new Response("Upgrade failed", { status: 400 });
  },
  websocket: {
    maxPayloadLength: 64 * 1024 * 1024,
    // Otherwise an answer that finds 16 MiB waiting is dropped.
    backpressureLimit: 0,
    // One compressor for all connections; only clients that offer compression get it.
    perMessageDeflate: { compress: "shared", decompress: "shared" },
    open(socket) {
      if (broadcasts) socket.subscribe("t");
    },
    message(socket, message) {
      // From the server, so that the sender gets its own message as well.
      if (broadcasts) server.publish("t", message, true);
      else socket.send(message, true);
    },
  },
});
console.log(`listening on ${server.hostname}:${server.port}`);
