"""Is a key that does not exist an error, and does a check say so before the start?"""

import json
import subprocess


def probe(server):
    if server.name == "sockeye":
        path = server.file("bad.toml", server.config().replace('level = "warn"', 'levle = "warn"'))
        return ran([server.program, "check-config", path])
    if server.name == "nchan":
        path = server.file("bad.conf", server.config().replace("nchan_message_timeout", "nchan_mesage_timeout"))
        return ran([server.program, "-t", "-p", server.directory, "-e", "stderr", "-c", path])
    if server.name == "centrifugo":
        config = server.config()
        config["clientt"] = {}
        config["channel"]["without_namespace"]["history_sise"] = 1
        path = server.file("bad.json", json.dumps(config))
        found = ran([server.program, "checkconfig", "-c", path])
        server.kill()
        try:
            server.start([server.program, "-c", path])
            found["start"] = "it starts; its log: " + server.log()[-400:]
        except RuntimeError as refused:
            found["start"] = str(refused)
        return found
    apart = server.config().replace("updates", "other")
    found = {}
    for word, wrong in (("anonymous", "anonimous"), ("encode", "encood")):
        path = server.file("Badfile", apart.replace(word, wrong))
        found[wrong] = ran([server.program, "validate", "--adapter", "caddyfile", "--config", path])
    return found


def ran(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    return {"check": (done.returncode, (done.stdout + done.stderr)[-400:])}
