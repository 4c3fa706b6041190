"""The four servers: how each is started, published to and followed. What a probe must not know stands here.

All keep 100 messages of a topic for five minutes (20 for topics that begin with "small"), in memory. Mercure keeps 100 of
all topics together, without a time, in a file: its form in memory keeps none.
"""

import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

from wire import Ended, Events, WebSocket, answer

SECRET = "a-secret-of-more-than-thirty-two-bytes"


def token(claims):
    """A JSON Web Token, signed with HS256."""

    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    body = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (body + b"." + part(hmac.new(SECRET.encode(), body, hashlib.sha256).digest())).decode()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Missing(Exception):
    """The server is not installed on this machine."""


class Server:
    """A server that runs with its own directory and ports; restarts keep both."""

    name = ""
    variable = ""
    default = ""
    forms = ()
    small = 20

    def __init__(self, cpu=None):
        program = os.environ.get(self.variable, self.default)
        self.program = shutil.which(program) if program else None
        if not self.program:
            raise Missing(f"{self.name}: set {self.variable} to its program, or leave it out with --servers")
        self.cpu = cpu
        self.directory = tempfile.mkdtemp(prefix=f"side-{self.name}-")
        self.port, self.second_port = free_port(), free_port()
        self.address = ("127.0.0.1", self.port)
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def file(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w") as out:
            out.write(text)
        return path

    def start(self, command=None):
        pinned = [] if self.cpu is None else ["taskset", "-c", str(self.cpu)]
        with open(os.path.join(self.directory, "log"), "ab") as log:
            self.process = subprocess.Popen(
                pinned + (command or self.command()), stdout=log, stderr=log, cwd=self.directory, start_new_session=True
            )
        for _ in range(100):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(self.address).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not listen: {self.log()[-500:]}")

    def log(self):
        with open(os.path.join(self.directory, "log"), errors="replace") as log:
            return log.read()

    def kill(self):
        """Ends it as a crash does: it and its children are killed."""
        if self.process:
            for process in self.processes():
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()
            self.process = None

    def processes(self):
        found = [self.process.pid]
        for parent in found:
            try:
                with open(f"/proc/{parent}/task/{parent}/children") as children:
                    found += [int(child) for child in children.read().split()]
            except FileNotFoundError:
                pass
        return found

    def version(self):
        """What the program says it is."""
        flag = {"nchan": "-v", "sockeye": "--version"}.get(self.name, "version")
        done = subprocess.run([self.program, flag], capture_output=True, text=True, timeout=10, cwd=self.directory)
        return (done.stdout + done.stderr).strip().split("\n")[-1]

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self):
        """Has it read its configuration again."""
        self.signal(signal.SIGHUP)

    def publish(self, topic, data, **options):
        """Publishes by HTTP; returns (status, body)."""
        raise NotImplementedError

    def follow(self, form, topic, cursor=None, settle=True, **options):
        """Subscribes, live from here or behind a cursor, and returns a Subscription."""
        raise NotImplementedError


class Subscription:
    """A subscription: `told` is what the server said of lost messages, `cursor` where it stands."""

    def __init__(self, link, cursor=None):
        self.link = link
        self.cursor = cursor
        self.told = []
        self.waiting = []

    def next(self, timeout=2):
        """The next message's payload. Raises TimeoutError, or Ended."""
        while not self.waiting:
            self.read(timeout)
        cursor, data = self.waiting.pop(0)
        self.cursor = cursor or self.cursor
        return data

    def all(self, count=10_000, patience=1.0):
        """All messages, up to a count, until nothing has come for a while."""
        found = []
        try:
            while len(found) < count:
                found.append(self.next(patience))
        except TimeoutError:
            pass
        except Ended as ended:
            self.told.append(str(ended))
        return found

    def reset(self):
        self.link.connection.reset()

    def close(self):
        self.link.connection.close()


class Plain(Subscription):
    """A WebSocket whose messages are the payloads."""

    def read(self, timeout):
        self.waiting.append((None, self.link.message(timeout).decode()))


class Meta(Subscription):
    """nchan's WebSocket with the subprotocol `ws+meta.nchan`."""

    def read(self, timeout):
        head, data = self.link.message(timeout).decode().split("\n\n", 1)
        self.waiting.append((head.split("\n")[0].removeprefix("id: "), data))


class EventStream(Subscription):
    """Server-sent events whose data are the payloads."""

    def read(self, timeout):
        event = self.link.next(timeout)
        if event.get("event") == "gap":
            self.told.append("gap " + event["data"])
        elif "data" in event:
            self.waiting.append((event.get("id"), event["data"]))
        elif "id" in event:
            self.cursor = event["id"]


class SockeyeFrames(Subscription):
    """The protocol sockeye.v1.json."""

    def read(self, timeout):
        frame = json.loads(self.link.message(timeout))
        if frame["type"] == "gap":
            self.told.append("gap " + json.dumps(frame))
        elif frame["type"] == "message" and frame.get("event") not in ("join", "leave"):
            self.waiting.append((frame["id"], frame["data"]))
        elif "id" in frame and self.cursor is None:
            self.cursor = frame["id"]


class CentrifugoPushes(Subscription):
    """Centrifugo's JSON protocol, over a WebSocket or as events. The cursor is (epoch, offset)."""

    def texts(self, timeout):
        if isinstance(self.link, Events):
            return [self.link.next(timeout).get("data", "{}")]
        return self.link.message(timeout).decode().split("\n")

    def read(self, timeout):
        for text in self.texts(timeout):
            reply = json.loads(text)
            if not reply:
                if isinstance(self.link, WebSocket):
                    self.link.send("{}")
                continue
            push = reply.get("push", reply)
            states = list(push.get("connect", {}).get("subs", {}).values())
            states += [push["subscribe"]] if "subscribe" in push else []
            for state in states:
                self.subscribed(state)
            if "pub" in push:
                self.published(push["pub"])
            if "error" in reply or "disconnect" in push:
                self.told.append(text)

    def subscribed(self, state):
        if "recovered" in state or state.get("was_recovering"):
            self.told.append(f"recovered: {str(state.get('recovered', False)).lower()}")
        start = self.cursor[1] if self.cursor else 0
        self.cursor = (state.get("epoch"), state.get("offset", 0) if not state.get("publications") else start)
        for publication in state.get("publications", []):
            self.published(publication)

    def published(self, publication):
        self.waiting.append(((self.cursor and self.cursor[0], publication.get("offset")), publication["data"]))


class Sockeye(Server):
    name, variable, default = "sockeye", "SOCKEYE", "../../target/release/sockeye"
    forms = ("websocket", "websocket sockeye.v1.json", "events")
    fan_out = {"websocket": "websocket", "events": "events"}

    def config(self):
        return (
            f'listen = ["127.0.0.1:{self.port}"]\nadmin = "127.0.0.1:{self.second_port}"\n'
            '[log]\nlevel = "warn"\n'
            '[[topic]]\nmatch = "small*"\nhistory = 20\n'
            '[[topic]]\nmatch = "who*"\npresence = "announced"\n'
            '[[topic]]\nmatch = "drop*"\nslow = "drop-oldest"\n'
        )

    def command(self):
        return [self.program, "serve", "--config", self.file("sockeye.toml", self.config())]

    def publish(self, topic, data, key=None):
        headers = {"Content-Type": "text/plain", **({"Idempotency-Key": key} if key else {})}
        status, _, body = answer(self.address, "POST", f"/t/{topic}", headers, data.encode())
        return status, body.decode()

    def follow(self, form, topic, cursor=None, presence=False, settle=True, **options):
        since = f"?since={cursor}" if cursor else ""
        if form == "events":
            stream = EventStream(Events(self.address, f"/t/{topic}{since}", **options), cursor)
            while stream.cursor is None:
                stream.read(5)
            return stream
        if form == "websocket":
            return Plain(WebSocket(self.address, f"/t/{topic}{since}", **options), cursor)
        socket = WebSocket(self.address, "/ws", protocol="sockeye.v1.json", **options)
        socket.message(5)
        command = {"type": "subscribe", "topics": [topic], "presence": presence, **({"since": cursor} if cursor else {})}
        socket.send_json(command)
        frames = SockeyeFrames(socket, cursor)
        state = json.loads(socket.message(5))
        frames.cursor = cursor or state["id"]
        return frames


class Nchan(Server):
    name, variable, default = "nchan", "NGINX", "/usr/sbin/nginx"
    forms = ("websocket", "websocket ws+meta.nchan", "events")
    fan_out = {"websocket": "websocket", "events": "events"}

    def config(self):
        module = os.environ.get("NCHAN_MODULE", "/usr/lib/nginx/modules/ngx_nchan_module.so")
        if not os.path.exists(module):
            raise Missing(f"nchan: no {module}; set NCHAN_MODULE")
        keep = "nchan_message_timeout 5m; nchan_message_buffer_length"
        paths = "".join(
            f"location ~ ^/{kind}/{prefix} {{ {role}; nchan_channel_id $1; {keep} {length}; {more} }}\n"
            for prefix, length, more in (
                ("(small.+)$", 20, ""),
                ("(who.+)$", 100, "nchan_channel_events_channel_id meta;"),
                ("(.+)$", 100, ""),
            )
            for kind, role in (
                ("sub", "nchan_subscriber; nchan_subscriber_first_message newest"),
                ("pub", "nchan_publisher"),
                ("both", "nchan_pubsub; nchan_subscriber_first_message newest"),
                ("raw", "nchan_subscriber http-raw-stream; nchan_subscriber_first_message newest"),
            )
        )
        return (
            f"load_module {module};\nuser root;\nworker_processes 1;\ndaemon off;\npid {self.directory}/pid;\n"
            "events { worker_connections 20000; }\n"
            f"http {{ access_log off; client_body_temp_path {self.directory}/body; keepalive_requests 1000000;\n"
            f"server {{ listen 127.0.0.1:{self.port} backlog=4096;\n{paths}"
            "location = /meta { nchan_subscriber; nchan_channel_group meta; nchan_channel_id meta; }\n"
            "location = /status { nchan_stub_status; } } }\n"
        )

    def command(self):
        return [self.program, "-p", self.directory, "-e", "stderr", "-c", self.file("nginx.conf", self.config())]

    def version(self):
        package = ["dpkg-query", "-W", "-f", "${Package} ${Version}", "libnginx-mod-nchan"]
        done = subprocess.run(package, capture_output=True, text=True, timeout=10)
        return f"{super().version()}, {done.stdout or 'nchan of unknown version'}"

    def publish(self, topic, data, key=None):
        headers = {"Content-Type": "text/plain", "Accept": "text/json", **({"Idempotency-Key": key} if key else {})}
        status, _, body = answer(self.address, "POST", f"/pub/{topic}", headers, data.encode())
        return status, body.decode()

    def follow(self, form, topic, cursor=None, settle=True, **options):
        path = f"/sub/{topic}" + (f"?last_event_id={urllib.parse.quote(cursor)}" if cursor else "")
        if form == "events":
            return self.settled(EventStream(Events(self.address, path, **options), cursor), settle)
        if form == "websocket":
            return self.settled(Plain(WebSocket(self.address, path, **options), cursor), settle)
        return self.settled(Meta(WebSocket(self.address, path, protocol="ws+meta.nchan", **options), cursor), settle)

    def settled(self, subscription, settle):
        """Gives it the moment after which it has subscribed: the answer comes before."""
        time.sleep(0.05 if settle else 0)
        return subscription


class Centrifugo(Server):
    name, variable, default = "centrifugo", "CENTRIFUGO", "centrifugo"
    forms = ("websocket json", "events (unidirectional)")
    fan_out = {"websocket": "websocket json", "events": "events (unidirectional)"}

    def config(self):
        kept = {
            "history_size": 100,
            "history_ttl": "5m",
            "force_recovery": True,
            "allow_subscribe_for_client": True,
            "allow_publish_for_client": True,
        }
        shown = {"presence": True, "join_leave": True, "force_push_join_leave": True, "allow_presence_for_client": True}
        return {
            "http_server": {"address": "127.0.0.1", "port": self.port},
            "client": {"token": {"hmac_secret_key": SECRET}, "allowed_origins": []},
            "http_api": {"key": SECRET},
            "channel": {
                "without_namespace": kept,
                "namespaces": [{"name": "small", **kept, "history_size": 20}, {"name": "who", **kept, **shown}],
            },
            "uni_sse": {"enabled": True},
            "uni_websocket": {"enabled": True},
            "uni_http_stream": {"enabled": True},
            "sse": {"enabled": True},
            "http_stream": {"enabled": True},
            "prometheus": {"enabled": True},
            "health": {"enabled": True},
            "usage_stats": {"disabled": True},
            "log": {"level": "warn"},
        }

    def command(self):
        return [self.program, "-c", self.file("config.json", json.dumps(self.config()))]

    def channel(self, topic):
        """Namespaces stand before a colon."""
        return next((f"{name}:{topic}" for name in ("small", "who") if topic.startswith(name)), topic)

    def publish(self, topic, data, key=None):
        headers = {"Content-Type": "application/json", "X-API-Key": SECRET}
        command = {"channel": self.channel(topic), "data": data, **({"idempotency_key": key} if key else {})}
        status, _, body = answer(self.address, "POST", "/api/publish", headers, json.dumps(command).encode())
        return status, body.decode()

    def follow(self, form, topic, cursor=None, user="ann", settle=True, **options):
        channel = self.channel(topic)
        recover = {"recover": True, "epoch": cursor[0], "offset": cursor[1]} if cursor else {}
        if form.startswith("events"):
            connect = {"token": token({"sub": user, "channels": [channel]}), **({"subs": {channel: recover}} if cursor else {})}
            path = "/connection/uni_sse?cf_connect=" + urllib.parse.quote(json.dumps(connect))
            pushes = CentrifugoPushes(Events(self.address, path, **options), cursor)
            pushes.read(5)
            return pushes
        socket = WebSocket(self.address, "/connection/websocket", **options)
        socket.send_json({"id": 1, "connect": {"token": token({"sub": user})}})
        socket.message(5)
        socket.send_json({"id": 2, "subscribe": {"channel": channel, **recover}})
        pushes = CentrifugoPushes(socket, cursor)
        pushes.read(5)
        return pushes


class Mercure(Server):
    name, variable, default = "mercure", "MERCURE", "mercure"
    forms = ("events",)
    fan_out = {"events": "events"}
    hub = "/.well-known/mercure"
    small = 100

    def config(self):
        return f"""{{
            admin 127.0.0.1:{self.second_port}
            persist_config off
            storage file_system {self.directory}
            metrics
        }}
        http://127.0.0.1:{self.port} {{
            bind 127.0.0.1
            encode zstd gzip
            mercure {{
                publisher_jwt {SECRET}
                subscriber_jwt {SECRET}
                anonymous
                subscriptions
                transport bolt {{
                    path {self.directory}/updates.db
                    size 100
                    cleanup_frequency 1
                }}
            }}
            respond "Not Found" 404
        }}
        """

    def reload(self):
        self.signal(signal.SIGUSR1)

    def command(self):
        return [self.program, "run", "--config", self.file("Caddyfile", self.config())]

    def publish(self, topic, data, key=None):
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": "Bearer " + token({"mercure": {"publish": ["*"]}}),
        }
        form = {"topic": topic, "data": data, **({"id": key} if key else {})}
        status, _, body = answer(self.address, "POST", self.hub, headers, urllib.parse.urlencode(form).encode())
        return status, body.decode()

    def follow(self, form, topic, cursor=None, settle=True, **options):
        headers = {"Last-Event-ID": cursor} if cursor else {}
        stream = EventStream(Events(self.address, f"{self.hub}?topic={topic}", headers, **options), cursor)
        answered = stream.link.connection.headers.get("last-event-id")
        if cursor and answered != cursor:
            stream.told.append(f"Last-Event-ID: {answered} in the answer")
        stream.cursor = stream.cursor or answered
        return stream


ALL = {server.name: server for server in (Sockeye, Centrifugo, Nchan, Mercure)}
