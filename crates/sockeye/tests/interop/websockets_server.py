"""An echo server by websockets: python websockets_server.py COMPRESSION [CERTIFICATE KEY]"""

import asyncio
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

import suite


async def echo(ws):
    try:
        while True:
            await ws.send(await ws.recv())
    except ConnectionClosed:
        extensions = ws.response.headers.get("Sec-WebSocket-Extensions", "")
        suite.report({"extensions": extensions, "close": [ws.close_code, ws.close_reason]})


async def fragments(ws):
    await ws.send(["frag", "", "ments ✓"])
    await ws.send([b"\x00\xff", b"\x80"])
    await ws.wait_closed()


async def ping(ws):
    await (await ws.ping("are you there?"))
    await ws.send("are you there?")
    await ws.wait_closed()


async def close(ws):
    await ws.close(*suite.THEIR_CLOSE)


ROUTES = {"/echo": echo, "/fragments": fragments, "/ping": ping, "/close": close}


async def main(compression, *tls):
    fresh = compression == "no-takeover"
    deflate = ServerPerMessageDeflateFactory(
        server_no_context_takeover=fresh, client_no_context_takeover=fresh
    )
    async with serve(
        lambda ws: ROUTES[ws.request.path](ws),
        "127.0.0.1",
        0,
        compression=None,
        extensions=None if compression == "off" else [deflate],
        subprotocols=[suite.SUBPROTOCOL],
        select_subprotocol=lambda _, offered: suite.SUBPROTOCOL if offered else None,
        ssl=suite.server_tls(tls),
    ) as server:
        suite.report({"port": server.sockets[0].getsockname()[1]})
        await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
