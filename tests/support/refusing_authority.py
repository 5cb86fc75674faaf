"""An ACME server that refuses every order with a real server's error.

Pebble supports neither rate limits nor CAA records, so it cannot produce these errors.
"""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from lab.acme import issue_certificate
from lab.services import free_port


class RefusingAuthority:
    """Runs during the block.

    Attributes:
        directory: Its directory URL.
        ca_file: The CA certificate of its own certificate.

    Args:
        address: An address of this machine that servers can reach.
        folder: The folder for its certificate.
        kind: The problem's type, such as rateLimited.
        detail: The problem's detail.
        status: The problem's HTTP status.
    """

    def __init__(
        self, address: str, folder: Path, *, kind: str, detail: str, status: int = 403
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        issue_certificate(folder, address)
        port = free_port(address)
        self.ca_file = folder / "ca.pem"
        base = f"https://{address}:{port}"
        self.directory = f"{base}/dir"
        urls = {name: f"{base}/{name}" for name in ("newNonce", "newAccount", "newOrder")}
        problem = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(200, {})

            def do_GET(self) -> None:
                self._answer(200, urls if self.path == "/dir" else {})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path == "/newAccount":
                    self._answer(201, {"status": "valid"})
                else:
                    self._answer(status, problem, "application/problem+json")

            def _answer(self, code: int, value: Any, kind: str = "application/json") -> None:
                body = json.dumps(value).encode()
                self.send_response(code)
                self.send_header("Replay-Nonce", "bm9uY2U")
                self.send_header("Location", f"{base}/account/1")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_words: Any) -> None:
                return

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "directory.pem", folder / "directory.key")
        self._server = http.server.ThreadingHTTPServer((address, port), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> RefusingAuthority:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
