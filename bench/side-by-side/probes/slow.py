"""What becomes of a subscriber that does not read, of one that does, of the publisher, and of the server's memory?"""

import threading
import time

from measure import private_memory

COUNT, SIZE = 2000, 32 << 10


def reader(follower, found):
    try:
        while len(found) < COUNT:
            found.append(int(follower.next(20).split()[0]))
    except Exception as end:
        found.append(repr(end))


def probe(server):
    return {form: stalled(server, form) for form in server.fan_out.values()}


def stalled(server, form):
    topic = "slow-" + form.split()[0]
    slow = server.follow(form, topic, small_window=True)
    other = server.follow(form, topic)
    seen = []
    thread = threading.Thread(target=reader, args=(other, seen))
    thread.start()
    before, peak, longest, start = private_memory(server), 0, 0, time.monotonic()
    for number in range(COUNT):
        begin = time.monotonic()
        server.publish(topic, f"{number} " + "x" * (SIZE - 10))
        longest = max(longest, time.monotonic() - begin)
        if number % 50 == 49:
            peak = max(peak, private_memory(server) - before)
    took = time.monotonic() - start
    thread.join()
    time.sleep(1)
    after = private_memory(server) - before
    got = [int(data.split()[0]) for data in slow.all(patience=3)]
    return {
        "MiB published": COUNT * SIZE >> 20,
        "seconds in all": round(took, 1),
        "longest publication, ms": round(longest * 1000),
        "other got all in order": seen == list(range(COUNT)) or [len(seen), str(seen[-1])[:200]],
        "MiB more at the peak": peak >> 20,
        "MiB more afterwards": after >> 20,
        "slow one got": len(got),
        "of these the last": got[-1] if got else None,
        "without a hole": got == list(range(len(got))),
        "how it ended": slow.told or "it did not",
    }
