"""How long may a message be, and what is the answer to a longer one?"""

import wire

from . import publish as publishing


def longest(server):
    """Sizes that go in by HTTP, from 1 KiB doubled to 64 MiB."""
    taken, refused = 0, None
    size = 1 << 10
    while size <= 64 << 20:
        try:
            status, body = server.publish(f"big{size}", "x" * size)
        except (wire.Ended, OSError, TimeoutError, IndexError) as error:
            refused = (size, repr(error))
            break
        if status not in (200, 201, 202) or '"error"' in body[:300]:
            refused = (size, status, body[:160])
            break
        taken = size
        size *= 2
    return {"taken": taken, "refused": refused}


def by_websocket(server):
    """What becomes of a connection that sends a message of 2 MiB."""
    path = {"sockeye": "/t/huge", "nchan": "/both/huge", "centrifugo": "/connection/websocket"}.get(server.name)
    if not path:
        return "no WebSocket"
    socket = wire.WebSocket(server.address, path)
    try:
        socket.send("x" * (2 << 20))
        return f"{len(socket.message(5))} bytes came back"
    except (wire.Ended, OSError, TimeoutError) as end:
        return repr(end)


def probe(server):
    return {"by HTTP": longest(server), "2 MiB by WebSocket": by_websocket(server)}
