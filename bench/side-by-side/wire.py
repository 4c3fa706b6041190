"""HTTP/1.1, server-sent events and WebSocket over a blocking socket: a plain client without any library.

It knows no server. Whatever takes longer than asked raises TimeoutError; an end of the stream raises Ended.
"""

import base64
import json
import os
import socket
import struct
import time


class Ended(Exception):
    """The peer ended or reset the connection."""


class Connection:
    """A connection, and what has been read from it and not yet used."""

    def __init__(self, address, small_window=False):
        self.address = address
        self.socket = socket.socket()
        if small_window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(10)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.raw = b""
        self.body = b""
        self.chunked = False
        self.status = None
        self.headers = {}

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends the connection as a lost network does not even do: with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 16)
        except socket.timeout:
            raise TimeoutError from None
        except OSError as error:
            raise Ended(str(error)) from None
        if not data:
            raise Ended("end of stream")
        self.raw += data

    def until(self, mark, deadline):
        while mark not in self.raw:
            self.fill(deadline)
        found, self.raw = self.raw.split(mark, 1)
        return found

    def exactly(self, count, deadline):
        while len(self.raw) < count:
            self.fill(deadline)
        found, self.raw = self.raw[:count], self.raw[count:]
        return found

    def head(self, timeout=10):
        """Reads the head of an answer."""
        deadline = time.monotonic() + timeout
        lines = self.until(b"\r\n\r\n", deadline).decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            self.headers[name.lower()] = value.strip()
        self.chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        return self

    def more(self, deadline):
        """Reads some of a streamed body."""
        if not self.chunked:
            if not self.raw:
                self.fill(deadline)
            self.body, self.raw = self.body + self.raw, b""
            return
        size = int(self.until(b"\r\n", deadline).split(b";")[0], 16)
        self.body += self.exactly(size, deadline)
        self.exactly(2, deadline)
        if size == 0:
            raise Ended("end of body")

    def piece(self, marks, timeout):
        """Reads the body up to the first of some marks."""
        deadline = time.monotonic() + timeout
        while True:
            found = [(self.body.find(mark), mark) for mark in marks if mark in self.body]
            if found:
                at, mark = min(found)
                piece, self.body = self.body[:at], self.body[at + len(mark) :]
                return piece
            self.more(deadline)

    def whole(self, timeout=10):
        """Reads the rest of an answer."""
        deadline = time.monotonic() + timeout
        if self.status in (204, 304):
            return b""
        if not self.chunked and "content-length" in self.headers:
            return self.exactly(int(self.headers["content-length"]), deadline)
        try:
            while True:
                self.more(deadline)
        except Ended:
            body, self.body = self.body, b""
            return body


def ask(address, method, path, headers=(), body=None):
    """Sends a request and returns the connection; the answer is still to be read."""
    connection = Connection(address)
    send_request(connection, method, path, headers, body)
    return connection


def send_request(connection, method, path, headers=(), body=None):
    lines = [f"{method} {path} HTTP/1.1", "Host: {}:{}".format(*connection.address), *(f"{name}: {value}" for name, value in dict(headers).items())]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    connection.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))


def answer(address, method, path, headers=(), body=None, timeout=10):
    """A whole request and answer, as (status, headers, body)."""
    connection = ask(address, method, path, headers, body)
    connection.head(timeout)
    content = connection.whole(timeout)
    connection.close()
    return connection.status, connection.headers, content


class Events:
    """A stream of server-sent events."""

    def __init__(self, address, path, headers=(), **options):
        self.connection = Connection(address, **options)
        send_request(self.connection, "GET", path, {"Accept": "text/event-stream", **dict(headers)})
        self.connection.head()
        if self.connection.status != 200:
            raise Ended(f"status {self.connection.status}: {self.connection.whole(2)[:200]!r}")

    def next(self, timeout):
        """The next event as a dict of its fields; a comment is {"": text}."""
        event = {}
        block = self.connection.piece([b"\n\n", b"\r\n\r\n"], timeout).decode()
        for line in block.replace("\r\n", "\n").split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            event[name] = event[name] + "\n" + value if name == "data" and name in event else value
        return event


class WebSocket:
    """A WebSocket, as strict as it must be: no extensions, no fragments."""

    def __init__(self, address, path, headers=(), protocol=None, **options):
        self.connection = Connection(address, **options)
        offered = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            **({"Sec-WebSocket-Protocol": protocol} if protocol else {}),
            **dict(headers),
        }
        send_request(self.connection, "GET", path, offered)
        self.connection.head()
        if self.connection.status != 101:
            raise Ended(f"status {self.connection.status}: {self.connection.whole(2)[:200]!r}")

    def send(self, payload, opcode=1):
        payload = payload.encode() if isinstance(payload, str) else payload
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 1 << 16:
            head += bytes([0x80 | 126]) + struct.pack(">H", size)
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", size)
        repeated = mask * (size // 4 + 1)
        masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[:size], "big")
        self.connection.send(head + mask + masked.to_bytes(size, "big"))

    def send_json(self, value):
        self.send(json.dumps(value))

    def frame(self, timeout):
        """The next frame, as (opcode, payload)."""
        deadline = time.monotonic() + timeout
        connection = self.connection
        first, second = connection.exactly(2, deadline)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", connection.exactly(2, deadline))
        elif size == 127:
            (size,) = struct.unpack(">Q", connection.exactly(8, deadline))
        return first & 0x0F, connection.exactly(size, deadline)

    def message(self, timeout):
        """The next message; answers pings. Raises Ended with code and reason at a Close."""
        deadline = time.monotonic() + timeout
        while True:
            opcode, payload = self.frame(deadline - time.monotonic())
            if opcode == 8:
                code = struct.unpack(">H", payload[:2])[0] if payload else None
                raise Ended(f"close {code} {payload[2:].decode()!r}")
            if opcode == 9:
                self.send(payload, 10)
            elif opcode in (1, 2):
                return payload
