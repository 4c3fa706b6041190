"""What does a subscriber get that comes back: after 10 missed messages, after more than are kept, after kill -9?"""

import json
import time

import wire


def back(server, form, topic, cursor):
    """Follows again behind the cursor, and reads what comes."""
    try:
        again = server.follow(form, topic, cursor)
    except wire.Ended as refused:
        return {"got": [], "told": [str(refused)]}
    got = again.all(patience=1.5)
    again.close()
    return {"got": got, "told": again.told}


def seeded(server, form, topic):
    """A subscriber that has got two messages and is lost then; returns its cursor."""
    follower = server.follow(form, topic)
    server.publish(topic, "seen 1")
    server.publish(topic, "seen 2")
    follower.all(2)
    follower.reset()
    return follower.cursor


def first_id(server, topic):
    """What a plain WebSocket may know: sockeye's answer to a publisher is a cursor."""
    _, body = server.publish(topic, "seen 2")
    return json.loads(body).get("id") or json.loads(body).get("last_message_id")


def probe(server):
    found = {}
    for number, form in enumerate(server.forms):
        found[form] = cases = {}
        for case, topic, missed in (("10 missed", f"ten{number}", 10), ("30 more than are kept", f"small{number}", server.small + 30)):
            cursor = seeded(server, form, topic) or first_id(server, topic)
            for message in range(missed):
                server.publish(topic, f"missed {message + 1}")
            cases[case] = back(server, form, topic, cursor)
        topic = f"crash{number}"
        cursor = seeded(server, form, topic) or first_id(server, topic)
        server.publish(topic, "before the crash")
        server.kill()
        server.start()
        # nchan's ids are seconds: within the same one a message after the crash may have an id from before it.
        time.sleep(1.2)
        server.publish(topic, "after the crash")
        cases["kill -9, one before and one after"] = back(server, form, topic, cursor)
        cursor = seeded(server, form, f"quiet{number}") or first_id(server, f"quiet{number}")
        server.publish(f"quiet{number}", "before the crash")
        server.kill()
        server.start()
        cases["kill -9, nothing after"] = back(server, form, f"quiet{number}", cursor)
    return found
