## A probe for UDP trackers: `GET /probe?target=host:port` connects and scrapes (BEP 15) and answers with metrics in
## Prometheus' format. No exporter is known that speaks this protocol.
##
## It scrapes and does not announce: an announce would add a torrent that nobody has, and count as life where there
## is none.
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
import http.server
import secrets
import signal
import socket
import struct
import sys
import time
import urllib.parse

##inline
PORT = 9117
##end
LONGEST = 5
CONNECT, SCRAPE = 0, 2
PROTOCOL = 0x41727101980
# Of a torrent that does not exist.
INFO_HASH = bytes(20)


def ask(connection, deadline, action, head, body, expected):
    transaction = secrets.randbits(32)
    connection.send(struct.pack(">QII", head, action, transaction) + body)
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        reply = connection.recv(2048)
        if len(reply) < 8:
            continue
        answered, to = struct.unpack(">II", reply[:8])
        if to != transaction:
            continue
        if answered != action:
            raise ValueError("answered by action %d: %r" % (answered, reply[8:72]))
        if len(reply) < expected:
            raise ValueError("%d bytes instead of %d" % (len(reply), expected))
        return reply
    raise TimeoutError("timed out")


def probe(host, port, deadline):
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as connection:
        connection.connect(address)
        reply = ask(connection, deadline, CONNECT, PROTOCOL, b"", 16)
        (identifier,) = struct.unpack(">Q", reply[8:16])
        ask(connection, deadline, SCRAPE, identifier, INFO_HASH, 20)


def metrics(host, port, timeout):
    started = time.monotonic()
    try:
        probe(host, port, started + timeout)
        success = 1
    except (OSError, ValueError) as error:
        print("%s:%d: %s" % (host, port, error), flush=True)
        success = 0
    return (
        "# HELP probe_success Whether the UDP tracker answered a connect and a scrape.\n"
        "# TYPE probe_success gauge\n"
        "probe_success %d\n"
        "# HELP probe_duration_seconds How long that took.\n"
        "# TYPE probe_duration_seconds gauge\n"
        "probe_duration_seconds %.6f\n" % (success, time.monotonic() - started)
    )


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        target = urllib.parse.parse_qs(url.query).get("target", [""])[0]
        host, _, port = target.rpartition(":")
        if url.path != "/probe" or not host or not port.isdigit():
            self.send_error(404, "ask for /probe?target=host:port")
            return
        # Prometheus says how long it waits; the answer has to be on its way by then.
        patience = float(self.headers.get("X-Prometheus-Scrape-Timeout-Seconds", LONGEST))
        body = metrics(host, int(port), min(LONGEST, patience * 0.8)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()
