"""A client by aiohttp: python aiohttp_client.py URL COMPRESSION

aiohttp does not send fragments.
"""

import asyncio
import sys

from aiohttp import ClientSession, WSMsgType

import suite


async def echo(open):
    async with open("/echo", autoping=False) as ws:
        assert ws.protocol == suite.SUBPROTOCOL, ws.protocol
        for message in suite.messages():
            if isinstance(message, str):
                await ws.send_str(message)
                assert await ws.receive_str() == message
            else:
                await ws.send_bytes(message)
                assert await ws.receive_bytes() == message
        await ws.ping(b"are you there?")
        pong = await ws.receive()
        assert (pong.type, bytes(pong.data)) == (WSMsgType.PONG, b"are you there?"), pong
        code, reason = suite.OUR_CLOSE
        await ws.close(code=code, message=reason.encode())
        assert ws.close_code == code, ws.close_code
        return ws._response.headers.get("Sec-WebSocket-Extensions", "")


async def receive(open):
    async with open("/fragments") as ws:
        assert await ws.receive_str() == "fragments ✓"
        assert await ws.receive_bytes() == b"\x00\xff\x80"
    async with open("/ping") as ws:
        assert await ws.receive_str() == "ponged"
    async with open("/close") as ws:
        message = await ws.receive()
        assert message.type is WSMsgType.CLOSE, message
        assert (message.data, message.extra) == suite.THEIR_CLOSE, message


async def main(url, compression):
    async with ClientSession() as session:

        def open(path, **options):
            compress = 0 if compression == "off" else 15
            protocols = ["other", suite.SUBPROTOCOL]
            return session.ws_connect(
                url + path, protocols=protocols, compress=compress, **options
            )

        extensions = await echo(open)
        await receive(open)
        suite.report({"extensions": extensions, "passed": True})


asyncio.run(main(*sys.argv[1:]))
