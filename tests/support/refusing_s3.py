"""An S3 server that refuses every request with the error it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from listening import serving


@dataclass
class RefusingS3:
    """A running server.

    Attributes:
        endpoint: Its address, such as http://10.77.0.1:40124.
        status: The status of its responses.
        code: The error in them.
    """

    endpoint: str
    status: int = 403
    code: str = "AccessDenied"


@contextmanager
def refusing_s3(host: str) -> Iterator[RefusingS3]:
    """Run the server.

    Args:
        host: The address it listens on.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = f"<Error><Code>{running.code}</Code><Message>no</Message></Error>".encode()
            self.send_response(running.status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815  # http.server's names

    with serving(host, Handler) as endpoint:
        running = RefusingS3(endpoint)
        yield running
