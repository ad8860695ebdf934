"""The world outside, as far as the client's tests need one: nothing of theirs leaves this machine.

Four tests of base URLs make a client for https://example.com, which asks that host once whether it is there. The
test processes get this as their HTTPS proxy: it answers for that host with a certificate made for the occasion,
and refuses every other.
"""

import contextlib
import shutil
import socketserver
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

HOST = "example.com"
ANSWER_SECONDS = 10


class _Handler(socketserver.StreamRequestHandler):
    timeout = ANSWER_SECONDS

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            request = self.rfile.readline(65536).split()
            while self.rfile.readline(65536).strip():
                pass
            if request[:2] != [b"CONNECT", f"{HOST}:443".encode()]:
                self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            with self.server.tls.wrap_socket(self.connection, server_side=True) as inner:
                inner.recv(65536)
                inner.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    tls: ssl.SSLContext


class Outside:
    """Use as a context. `proxy` is the URL of the proxy, `certificates` a file with our CA and its own."""

    def __init__(self, certificate: str):
        self._directory = Path(tempfile.mkdtemp(prefix="terrane-outside-"))
        own, key = self._directory / "certificate.pem", self._directory / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}",
                        "-keyout", str(key), "-out", str(own)], check=True, capture_output=True)
        self.certificates = self._directory / "both.pem"
        given = Path(certificate).read_text() if certificate else ""
        self.certificates.write_text(given + own.read_text())
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.tls.load_cert_chain(own, key)
        self.proxy = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Outside":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self._directory, ignore_errors=True)
