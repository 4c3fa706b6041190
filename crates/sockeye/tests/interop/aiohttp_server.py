"""An echo server by aiohttp: python aiohttp_server.py COMPRESSION

aiohttp does not send fragments and has no choice of context takeover on servers.
"""

import asyncio
import sys

from aiohttp import WSMsgType, web

import suite


async def open(request, **options):
    compress = sys.argv[1] != "off"
    ws = web.WebSocketResponse(protocols=[suite.SUBPROTOCOL], compress=compress, **options)
    await ws.prepare(request)
    return ws


async def echo(request):
    # By itself it would answer every Close frame with 1000.
    ws = await open(request, autoclose=False)
    while True:
        message = await ws.receive()
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)
        else:
            break
    extensions = ws.headers.get("Sec-WebSocket-Extensions", "")
    await ws.close(code=message.data)
    suite.report({"extensions": extensions, "close": [message.data, message.extra]})
    return ws


async def ping(request):
    ws = await open(request, autoping=False)
    await ws.ping(b"are you there?")
    message = await ws.receive()
    assert message.type is WSMsgType.PONG, message
    await ws.send_str(bytes(message.data).decode())
    await ws.receive()
    return ws


async def close(request):
    ws = await open(request)
    code, reason = suite.THEIR_CLOSE
    await ws.close(code=code, message=reason.encode())
    return ws


async def main():
    app = web.Application()
    routes = {"/echo": echo, "/ping": ping, "/close": close}
    app.add_routes([web.get(path, handler) for path, handler in routes.items()])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    suite.report({"port": runner.addresses[0][1]})
    await asyncio.Event().wait()


asyncio.run(main())
