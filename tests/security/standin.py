#!/usr/bin/env python3
"""A service to be attacked in place of a real one: `standin.py HOST:PORT|@NAME ...` answers everybody "stand-in".

It prints a line when it listens, and ends with its standard input.
"""

import contextlib
import os
import socketserver
import sys
import threading


class Answer(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.settimeout(5)
        with contextlib.suppress(OSError):  # who only connects has gone already
            self.request.recv(4096)
            self.request.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nstand-in\n")


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class AbstractServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def server_of(place: str) -> socketserver.BaseServer:
    if place.startswith("@"):
        return AbstractServer("\0" + place[1:], Answer)
    host, _, port = place.rpartition(":")
    return TcpServer((host, int(port)), Answer)


def main() -> None:
    for server in [server_of(place) for place in sys.argv[1:]]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("listening", flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
