"""Does reading the configuration again keep connections and messages, and what do clients see at SIGTERM (and at nginx's graceful SIGQUIT)?"""

import signal
import time

import wire

from . import recovery


def end_of(follower, patience):
    """What a follower sees to its end."""
    seen, start = [], time.monotonic()
    connection = follower.link.connection
    try:
        while True:
            if isinstance(follower.link, wire.WebSocket):
                seen.append(follower.link.message(patience).decode())
            else:
                seen.append(str(follower.link.next(patience)))
    except (wire.Ended, TimeoutError) as end:
        seen.append(f"{end!r} after {time.monotonic() - start:.1f} s")
    connection.close()
    return seen


def reload(server):
    followers = {form: server.follow(form, "r") for form in server.forms}
    cursors = {form: recovery.seeded(server, form, f"kept{number}") for number, form in enumerate(server.forms)}
    for number in range(len(server.forms)):
        server.publish(f"kept{number}", "before the reload")
    server.reload()
    time.sleep(1.5)
    if server.process.poll() is not None:
        return {"the server": f"has ended with {server.process.poll()}"}
    found = {}
    try:
        late = server.follow(server.forms[0], "r")
        status = server.publish("r", "after the reload")
        found["publish"] = status
        found["one that came after it"] = late.all(1)
    except (wire.Ended, OSError) as refused:
        found["publish"] = repr(refused)
    for form, follower in followers.items():
        found[form] = follower.all(1) + follower.told
    if cursors[server.forms[-1]]:
        last = len(server.forms) - 1
        time.sleep(1.2)
        server.publish(f"kept{last}", "after the reload")
        found["one that comes back"] = recovery.back(server, server.forms[-1], f"kept{last}", cursors[server.forms[-1]])
    return found


def stop(server, number):
    followers = {form: server.follow(form, "s") for form in server.forms}
    server.publish("s", "last words")
    server.signal(number)
    found = {form: end_of(follower, 8) for form, follower in followers.items()}
    start = time.monotonic()
    try:
        code = server.process.wait(40)
        found["exit code"] = code
    except Exception:
        found["exit code"] = "still running after 40 s"
    return found


def probe(server):
    found = {"reload": reload(server)}
    names = ["SIGTERM"] + (["SIGQUIT"] if server.name == "nchan" else [])
    for name in names:
        server.kill()
        server.start()
        found[name] = stop(server, getattr(signal, name))
        server.process = server.process if server.process.poll() is None else None
    return found
