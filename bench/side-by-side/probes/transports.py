"""Which transports does a plain client get, and what arrives of the payload `hello`?"""

import json
import time

import wire
from servers import token


# Centrifugo ends a connection that says nothing after 10 s.
PATIENCE = 12


def tries(server):
    """(name, how to open it) for all that each server documents for one topic."""
    address = server.address
    if server.name == "sockeye":
        stream = lambda accept: lambda: wire.ask(address, "GET", "/t/a", {"Accept": accept})
        return {
            "websocket": lambda: wire.WebSocket(address, "/t/a"),
            "events": stream("text/event-stream"),
            "lines": stream("application/x-ndjson"),
            "parts": stream("multipart/mixed"),
            "long poll": lambda: wire.ask(address, "GET", f"/t/a?since={cursor(server)}"),
        }
    if server.name == "nchan":
        stream = lambda headers, path="/sub/a": lambda: wire.ask(address, "GET", path, headers)
        return {
            "websocket": lambda: wire.WebSocket(address, "/sub/a"),
            "events": stream({"Accept": "text/event-stream"}),
            "parts": stream({"Accept": "multipart/mixed"}),
            "chunked": stream({"TE": "chunked"}),
            "raw stream": stream({}, "/raw/a"),
            "long poll": stream({}),
        }
    if server.name == "centrifugo":
        connect = json.dumps({"token": token({"sub": "ann", "channels": ["a"]})})

        def unidirectional():
            socket = wire.WebSocket(address, "/connection/uni_websocket")
            socket.send(connect)
            return socket

        post = lambda path: lambda: wire.ask(address, "POST", path, {"Content-Type": "application/json"}, connect.encode())
        return {
            "websocket, nothing sent": lambda: wire.WebSocket(address, "/connection/websocket"),
            "websocket, unidirectional": unidirectional,
            "events, unidirectional": post("/connection/uni_sse"),
            "http stream, unidirectional": post("/connection/uni_http_stream"),
            "long poll": lambda: wire.ask(address, "GET", "/connection/poll?channel=a"),
        }
    topic = f"{server.hub}?topic=a"
    return {
        "websocket": lambda: wire.WebSocket(address, topic),
        "events": lambda: wire.ask(address, "GET", topic, {"Accept": "text/event-stream"}),
        "whatever else is asked for": lambda: wire.ask(address, "GET", topic, {"Accept": "application/x-ndjson"}),
    }


def cursor(server):
    return json.loads(server.publish("a", "before")[1])["id"]


def seen(opened, server):
    """What arrives behind a publication."""
    if isinstance(opened, wire.WebSocket):
        time.sleep(0.2)
        server.publish("a", "hello")
        frames = []
        try:
            while True:
                frames.append(opened.message(PATIENCE).decode())
        except (TimeoutError, wire.Ended) as end:
            return frames + ([str(end)] if str(end) else [])
    time.sleep(0.2)
    server.publish("a", "hello")
    received = b""
    opened.socket.settimeout(1)
    try:
        while data := opened.socket.recv(1 << 16):
            received += data
    except OSError:
        pass
    head, _, body = received.decode().partition("\r\n\r\n")
    return [head.split("\r\n")[0], body[-300:]]


def probe(server):
    found = {}
    for name, opener in tries(server).items():
        try:
            opened = opener()
            found[name] = seen(opened, server)
        except (wire.Ended, OSError) as refused:
            found[name] = [f"refused: {refused}"]
    return found
