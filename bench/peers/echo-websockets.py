"""An echo server by websockets, as its compliance server does it: python echo-websockets.py ADDR"""

import asyncio
import os
import sys

# The longest case has 65,537 fragments, and 4,096 are the default. Read when the package is loaded.
os.environ["WEBSOCKETS_MAX_FRAGMENTS"] = "131072"

from websockets.asyncio.server import serve


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def main(address):
    host, port = address.rsplit(":", 1)
    # Texts are checked and compression is on by default. The limit is 1 MiB otherwise.
    async with serve(echo, host, int(port), max_size=64 << 20) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"listening on {host}:{port}", flush=True)
        await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
