"""Who is there, and who comes and goes?"""

import json
import time

import wire
from servers import SECRET, token


def sockeye(server):
    watcher = wire.WebSocket(server.address, "/ws", protocol="sockeye.v1.json")
    watcher.send_json({"type": "subscribe", "topics": ["who1"]})
    member = server.follow(server.forms[1], "who1", presence=True)
    page = wire.answer(server.address, "GET", "/t/who1?presence")[2].decode()
    member.close()
    return page, texts(watcher, 4)


def nchan(server):
    watcher = wire.WebSocket(server.address, "/meta")
    member = server.follow("websocket", "who1")
    page = wire.answer(server.address, "GET", "/pub/who1", {"Accept": "text/json"})[2].decode()
    member.close()
    return page, texts(watcher, 2)


def centrifugo(server):
    watcher = wire.WebSocket(server.address, "/connection/websocket")
    watcher.send_json({"id": 1, "connect": {"token": token({"sub": "watcher"})}})
    watcher.send_json({"id": 2, "subscribe": {"channel": "who:who1"}})
    time.sleep(0.2)
    member = server.follow(server.forms[0], "who1", user="bob")
    headers = {"X-API-Key": SECRET}
    page = wire.answer(server.address, "POST", "/api/presence", headers, b'{"channel":"who:who1"}')[2].decode()
    member.close()
    return page, texts(watcher, 2)


def mercure(server):
    allowed = {"Authorization": "Bearer " + token({"mercure": {"subscribe": ["*"]}})}
    watcher = wire.Events(server.address, server.hub + "?topic=/.well-known/mercure/subscriptions{/topic}{/subscriber}", allowed)
    member = server.follow("events", "who1")
    time.sleep(0.2)
    page = wire.answer(server.address, "GET", server.hub + "/subscriptions", allowed)[2].decode()
    member.close()
    seen = []
    try:
        while True:
            seen.append(watcher.next(3).get("data"))
    except TimeoutError:
        return page, seen


def texts(socket, patience):
    seen = []
    try:
        while True:
            seen.append(socket.message(patience).decode())
    except (TimeoutError, wire.Ended):
        return seen


def probe(server):
    page, seen = {"sockeye": sockeye, "nchan": nchan, "centrifugo": centrifugo, "mercure": mercure}[server.name](server)
    return {"page": page, "a watcher saw": seen}
