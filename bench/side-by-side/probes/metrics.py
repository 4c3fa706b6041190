"""What is there to watch?"""

import wire


def probe(server):
    address, path = {
        "sockeye": (("127.0.0.1", server.second_port), "/metrics"),
        "nchan": (server.address, "/status"),
        "centrifugo": (server.address, "/metrics"),
        "mercure": (("127.0.0.1", server.second_port), "/metrics"),
    }[server.name]
    server.follow(server.forms[0], "m")
    server.publish("m", "one")
    status, headers, body = wire.answer(address, "GET", path)
    lines = [line for line in body.decode().split("\n") if line and not line.startswith("#")]
    names = sorted({line.split("{")[0].split(" ")[0] for line in lines})
    own = [name for name in names if not name.startswith(("go_", "process_", "promhttp_", "caddy_"))]
    kind = headers.get("content-type")
    if server.name == "nchan":
        return {"status": status, "type": kind, "text": body.decode()}
    return {"status": status, "type": kind, "series of its own": len(own), "names": own}
