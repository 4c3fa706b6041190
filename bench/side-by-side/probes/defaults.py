"""What may who has no token do, out of the box, on an address that others reach? And a page of another origin?"""

import os
import subprocess
import time

import wire
from servers import SECRET, free_port

EVIL = {"Origin": "https://elsewhere.example"}


def tried(attempt):
    try:
        found = attempt()
    except (wire.Ended, OSError, TimeoutError) as refused:
        return f"refused: {refused!r}"
    return found if isinstance(found, (str, tuple, list)) else "let in"


def sockeye(server):
    port = free_port()
    command = [server.program, "serve", "--listen", f"0.0.0.0:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    return {"start on 0.0.0.0": (done.returncode, done.stderr.strip())}


def nchan(server):
    """The first example of nchan's README."""
    port = free_port()
    module = server.config().split("\n")[0]
    text = f"""{module}\nuser root;\ndaemon off;\npid {server.directory}/pid2;\nevents {{}}\n
        http {{ access_log off; server {{ listen {port};
        location = /sub {{ nchan_subscriber; nchan_channel_id $arg_id; }}
        location = /pub {{ nchan_publisher; nchan_channel_id $arg_id; }} }} }}"""
    path = server.file("bare.conf", text)
    with running([server.program, "-p", server.directory, "-e", "stderr", "-c", path], server):
        address = ("127.0.0.1", port)
        return {
            "start on 0.0.0.0": "it does",
            "subscribe": tried(lambda: wire.WebSocket(address, "/sub?id=a")),
            "publish": tried(lambda: wire.answer(address, "POST", "/pub?id=a", {}, b"hello")[::2]),
        }


def centrifugo(server):
    """The configuration that `genconfig` makes."""
    port = free_port()
    path = server.directory + "/bare.json"
    subprocess.run([server.program, "genconfig", "-c", path], capture_output=True, timeout=10)
    with running([server.program, "-c", path, "--http_server.port", str(port)], server):
        address = ("127.0.0.1", port)

        def subscribe():
            socket = wire.WebSocket(address, "/connection/websocket")
            socket.send_json({"id": 1, "connect": {}})
            return socket.message(3).decode()

        return {
            "start on 0.0.0.0": "it does",
            "subscribe": tried(subscribe),
            "publish": tried(lambda: wire.answer(address, "POST", "/api/publish", {}, b'{"channel":"a","data":1}')[::2]),
        }


def mercure(server):
    """The smallest Caddyfile of its documentation, without TLS."""
    port = free_port()
    text = f"{{\n admin off\n persist_config off\n storage file_system {server.directory}/bare\n}}\n"
    text += f"http://:{port} {{\n mercure {{\n publisher_jwt {SECRET}\n subscriber_jwt {SECRET}\n }}\n}}\n"
    command = [server.program, "run", "--adapter", "caddyfile", "--config", server.file("bare.caddy", text)]
    with running(command, server):
        address = ("127.0.0.1", port)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return {
            "start on 0.0.0.0": "it does",
            "subscribe": tried(lambda: wire.Events(address, server.hub + "?topic=a")),
            "publish": tried(lambda: wire.answer(address, "POST", server.hub, form, b"topic=a&data=b")[::2]),
        }


class running:
    def __init__(self, command, server):
        directory = os.path.join(server.directory, "bare")
        os.makedirs(directory, exist_ok=True)
        self.process = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def foreign(server):
    """A page of another origin, against the settings of all other probes."""
    paths = {
        "sockeye": ("/t/a", "/t/a", "/t/a", b"x", {"Content-Type": "text/plain"}),
        "nchan": ("/sub/a", "/sub/a", "/pub/a", b"x", {"Content-Type": "text/plain"}),
        "centrifugo": ("/connection/websocket", "/connection/uni_sse", "/api/publish", b"{}", {"Content-Type": "text/plain"}),
        "mercure": (None, server.hub + "?topic=a" if server.name == "mercure" else None) + (
            getattr(server, "hub", ""), b"topic=a&data=b", {"Content-Type": "application/x-www-form-urlencoded"}),
    }
    socket, events, publish, body, kind = paths[server.name]

    def stream():
        headers = wire.Events(server.address, events, EVIL).connection.headers
        return "let in; may the page read it: " + headers.get("access-control-allow-origin", "no")

    return {
        "websocket": tried(lambda: wire.WebSocket(server.address, socket, EVIL)) if socket else "none",
        "events": tried(stream),
        "publish": tried(lambda: str(wire.answer(server.address, "POST", publish, {**EVIL, **kind}, body)[::2])),
    }


def probe(server):
    bare = {"sockeye": sockeye, "nchan": nchan, "centrifugo": centrifugo, "mercure": mercure}[server.name]
    return {"out of the box": bare(server), "a page of another origin": foreign(server)}
