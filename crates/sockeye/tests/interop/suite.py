"""What all Python scripts share: the messages to exchange, and how to report."""

import json
import ssl

LENGTHS = [0, 1, 125, 126, 65535, 65536, 1 << 20]
UNICODE = ["κόσμε", "日本語", "🐟🐠", "\u0000\ufffe\U0010ffff"]
SUBPROTOCOL = "sockeye.test"
OUR_CLOSE = (4002, "tschüß")
THEIR_CLOSE = (4001, "because ß")


def report(value):
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":")), flush=True)


def text(length):
    return ("abcdefghijklmnopqrstuvwxyz" * (length // 26 + 1))[:length]


def messages():
    yield from map(text, LENGTHS)
    yield from UNICODE
    for length in LENGTHS:
        yield bytes(index * 7 % 256 for index in range(length))


def server_tls(arguments):
    if not arguments:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*arguments)
    return context


def client_tls(arguments):
    if not arguments:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(*arguments)
    return context
