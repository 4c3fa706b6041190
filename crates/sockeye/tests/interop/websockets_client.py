"""A client by websockets: python websockets_client.py URL COMPRESSION [ROOTS]"""

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import suite


async def echo(open):
    async with open("/echo") as ws:
        assert ws.subprotocol == suite.SUBPROTOCOL, ws.subprotocol
        for message in suite.messages():
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(["frag", "", "ments ✓"])
        assert await ws.recv() == "fragments ✓"
        await (await ws.ping("are you there?"))
        await ws.close(*suite.OUR_CLOSE)
        assert (ws.close_code, ws.close_reason) == suite.OUR_CLOSE, ws.close_reason
        return ws.response.headers.get("Sec-WebSocket-Extensions", "")


async def receive(open):
    async with open("/fragments") as ws:
        pieces = [piece async for piece in ws.recv_streaming()]
        assert "".join(pieces) == "fragments ✓", pieces
        assert await ws.recv() == b"\x00\xff\x80"
    async with open("/ping") as ws:
        assert await ws.recv() == "ponged"
    async with open("/close") as ws:
        try:
            await ws.recv()
        except ConnectionClosed:
            assert (ws.close_code, ws.close_reason) == suite.THEIR_CLOSE
        else:
            raise AssertionError("a message instead of a Close frame")


async def main(url, compression, *tls):
    def open(path):
        return connect(
            url + path,
            compression=None if compression == "off" else "deflate",
            subprotocols=["other", suite.SUBPROTOCOL],
            ssl=suite.client_tls(tls),
            proxy=None,
        )

    extensions = await echo(open)
    await receive(open)
    suite.report({"extensions": extensions, "passed": True})


asyncio.run(main(*sys.argv[1:]))
