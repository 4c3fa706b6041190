"""How is a message published by HTTP and by WebSocket, and does the same key twice publish twice?"""

import json

import wire
from servers import token


def by_websocket(server):
    if server.name == "sockeye":
        wire.WebSocket(server.address, "/t/p").send("from a socket")
    elif server.name == "nchan":
        wire.WebSocket(server.address, "/both/p").send("from a socket")
    elif server.name == "centrifugo":
        socket = wire.WebSocket(server.address, "/connection/websocket")
        socket.send_json({"id": 1, "connect": {"token": token({"sub": "bob"})}})
        socket.send_json({"id": 2, "publish": {"channel": "p", "data": "from a socket"}})
        socket.message(2)
        return socket.message(2).decode()
    else:
        wire.WebSocket(server.address, server.hub + "?topic=p").send("from a socket")
    return "sent"


def probe(server):
    follower = server.follow(server.forms[-1], "p")
    found = {"by HTTP": server.publish("p", "from HTTP")}
    try:
        found["by WebSocket"] = by_websocket(server)
    except (wire.Ended, OSError, TimeoutError) as refused:
        found["by WebSocket"] = f"refused: {refused}"
    found["same key"] = [server.publish("p", "once", key="urn:uuid:key-1") for _ in range(2)]
    found["a follower got"] = follower.all()
    return found
