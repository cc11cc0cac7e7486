"""`python3 /opt/guard`: the supervisor; with `guard` its guard, with `health PORT` a health check of both."""

import socket
import sys


def main(role: str, *arguments: str) -> int:
    if role == "guard":
        import loop

        loop.run()
        return 0
    if role == "health":
        with socket.create_connection(("127.0.0.1", int(arguments[0])), timeout=4) as asked:
            asked.sendall(b"GET /health HTTP/1.1\r\n\r\n")
            return 0 if b" 200 " in asked.recv(64) else 1
    import supervisor

    return supervisor.run()


sys.exit(main(*sys.argv[1:] or [""]))
