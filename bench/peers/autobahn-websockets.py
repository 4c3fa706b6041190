"""An Autobahn client by websockets, as its compliance client does it: python autobahn-websockets.py URL"""

import asyncio
import os
import sys

# The longest case has 65,537 fragments, and 4,096 are the default. Read when the package is loaded.
os.environ["WEBSOCKETS_MAX_FRAGMENTS"] = "131072"

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException


def dial(url):
    # Texts are checked and compression is on by default. The limit is 1 MiB otherwise.
    return connect(url, max_size=64 << 20)


async def play(url):
    try:
        async with dial(url) as ws:
            async for message in ws:
                await ws.send(message)
    # Most cases end a connection by an error on purpose.
    except (OSError, WebSocketException):
        pass


async def main(url):
    async with dial(f"{url}/getCaseCount") as ws:
        count = int(await ws.recv())
    for number in range(1, count + 1):
        await play(f"{url}/runCase?case={number}&agent=websockets")
    async with dial(f"{url}/updateReports?agent=websockets"):
        pass


asyncio.run(main(*sys.argv[1:]))
