"""An echo server by picows, as its example does it, on uvloop as in its benchmarks: python echo-picows.py ADDR

It sends frame by frame and knows no compression. Where the package aiofastnet is installed, picows uses it by itself.
"""

import asyncio
import sys

import uvloop
from picows import WSListener, WSMsgType, ws_create_server


class Echo(WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview(), frame.fin)


async def main(address):
    host, port = address.rsplit(":", 1)
    # Frames are limited to 10 MiB otherwise.
    server = await ws_create_server(lambda request: Echo(), host, int(port), max_frame_size=64 << 20)
    port = server.sockets[0].getsockname()[1]
    print(f"listening on {host}:{port}", flush=True)
    await server.serve_forever()


uvloop.install()
asyncio.run(main(*sys.argv[1:]))
