"""Memory of idle subscribers, and processor time of a delivery: figures, not behaviours.

The server has core 0, this client core 1. Subscribers are opened one by one; one epoll loop reads what comes to all.
"""

import os
import select
import statistics
import time

from servers import ALL
from wire import WebSocket

MARK = b"|end|"
TICKS = os.sysconf("SC_CLK_TCK")


def private_memory(server):
    """Bytes that only the server's processes have: files of libraries and shared pages are not in it."""
    total = 0
    for process in server.processes():
        with open(f"/proc/{process}/smaps_rollup") as rollup:
            total += sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
    return total << 10


def processor_seconds(server):
    """User and system time of the server's processes."""
    total = 0
    for process in server.processes():
        with open(f"/proc/{process}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


class Crowd:
    """Many subscribers of one topic, and how many deliveries have come to all of them."""

    def __init__(self, server, form, count, topic="crowd"):
        self.server, self.topic = server, topic
        self.members, self.tails = {}, {}
        self.poller = select.epoll()
        self.got = 0
        for _ in range(count):
            self.add(server.follow(form, topic, settle=False))
            self.read_ready(0)
        time.sleep(0.5)

    def add(self, follower):
        socket = follower.link.connection.socket
        socket.setblocking(False)
        self.members[socket.fileno()] = (socket, follower)
        self.tails[socket.fileno()] = b""
        self.poller.register(socket, select.EPOLLIN)

    def publish(self, size):
        """Publishes one message, and waits until all have it."""
        self.server.publish(self.topic, "x" * (size - len(MARK)) + MARK.decode())
        wanted, deadline = self.got + len(self.members), time.monotonic() + 120
        while self.got < wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{wanted - self.got} deliveries are missing")
            self.read_ready(1)

    def read_ready(self, timeout):
        for number, _ in self.poller.poll(timeout):
            self.read(number)

    def read(self, number):
        data = self.members[number][0].recv(1 << 16)
        if not data:
            raise ConnectionError(f"{self.server.name} ended a subscription: {self.tails[number]!r} {self.server.log()[-300:]}")
        self.answer_pings(number, data)
        data = self.tails[number] + data
        self.got += data.count(MARK)
        self.tails[number] = data[-len(MARK) + 1 :] if not data.endswith(MARK) else b""

    def answer_pings(self, number, data):
        """Answers the pings of WebSocket, and those of Centrifugo's protocol; no payload here has such bytes."""
        link = self.members[number][1].link
        if not isinstance(link, WebSocket):
            return
        if any(ping in data for ping in (b"\x81\x02{}", b"\n{}", b"{}\n")):
            link.send("{}")
        at = data.find(b"\x89")
        if at >= 0:
            link.send(data[at + 2 : at + 2 + data[at + 1]], opcode=10)

    def close(self):
        for socket, _ in self.members.values():
            socket.close()
        self.poller.close()


def memory(kind, server, count):
    """Bytes for each subscriber that has got one message and rests for five seconds."""
    with server(cpu=0) as running:
        form = server.fan_out[kind]
        Crowd(running, form, 20, "before").publish(100)
        time.sleep(1)
        empty = private_memory(running)
        crowd = Crowd(running, form, count)
        crowd.publish(100)
        time.sleep(5)
        bytes_each = (private_memory(running) - empty) / count
        crowd.close()
        return round(bytes_each)


def delivery(kind, server, count, messages, size=100):
    """Microseconds of the processor for each delivery; the next message goes out when all have the last."""
    with server(cpu=0) as running:
        crowd = Crowd(running, server.fan_out[kind], count)
        for _ in range(20):
            crowd.publish(size)
        begin = processor_seconds(running)
        for _ in range(messages):
            crowd.publish(size)
        spent = processor_seconds(running) - begin
        crowd.close()
        return round(spent / (messages * count) * 1e6, 2)


def figures(names, rounds, quick=False):
    """All figures, the servers taking turns: every run, and the median."""
    os.sched_setaffinity(0, {1})
    part = 10 if quick else 1
    points = {
        "bytes of an idle WebSocket": lambda s: memory("websocket", s, 2000 // part),
        "bytes of an idle event stream": lambda s: memory("events", s, 1000 // part),
        "us for a delivery by WebSocket": lambda s: delivery("websocket", s, 1000 // part, 400),
        "us for a delivery by events": lambda s: delivery("events", s, 500 // part, 400),
    }
    runs = {point: {name: [] for name in names} for point in points}
    for _ in range(rounds):
        for point, measure in points.items():
            for name in names:
                if "WebSocket" in point and "websocket" not in ALL[name].fan_out:
                    continue
                runs[point][name].append(measure(ALL[name]))
    return {
        point: {name: {"median": statistics.median(found), "runs": found} for name, found in by.items() if found}
        for point, by in runs.items()
    }
