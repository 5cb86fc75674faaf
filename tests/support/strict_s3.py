"""A proxy that checks the signatures of S3 requests, in front of a server that does not.

moto accepts any signature. This proxy computes it again (AWS Signature Version 4, "Authenticating
Requests: Using the Authorization Header") and forwards correctly signed requests.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import re
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from listening import serving

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(.*)/(\d{8})/([^/]+)/s3/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)
_EMPTY = (
    b"<ListBucketResult><Name>registry</Name><IsTruncated>false</IsTruncated></ListBucketResult>"
)
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length"}


@dataclass
class StrictS3:
    """A running server.

    Attributes:
        endpoint: Its address, such as http://10.77.0.1:40124.
        accepted: The number of correctly signed requests, by access key.
        refused: The access keys of the other requests.
    """

    endpoint: str
    accepted: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


@contextmanager
def strict_s3(host: str, keys: dict[str, str], behind: str = "") -> Iterator[StrictS3]:
    """Run the proxy.

    Args:
        host: The address it listens on.
        keys: Secret keys by access key.
        behind: The endpoint to forward accepted requests to; without it, all responses are those
            of an empty bucket.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            authorization = self.headers.get("Authorization", "").encode("latin-1").decode()
            match = _AUTHORIZATION.fullmatch(authorization)
            access = match[1] if match else ""
            secret = keys.get(access)
            if match is None or secret is None or self.signature(match, secret) != match[5]:
                running.refused.append(access)
                self.answer(403, {}, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
                return
            running.accepted[access] = running.accepted.get(access, 0) + 1
            if not behind:
                self.answer(200, {"Content-Type": "application/xml"}, _EMPTY)
                return
            connection = http.client.HTTPConnection(behind.removeprefix("http://"), timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            self.answer(response.status, dict(response.getheaders()), response.read())

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815  # http.server's names

        def signature(self, match: re.Match[str], secret: str) -> str:
            path, _, query = self.path.partition("?")
            pairs = sorted(each if "=" in each else f"{each}=" for each in query.split("&") if each)
            names = match[4].split(";")
            values = [" ".join((self.headers.get(name) or "").split()) for name in names]
            request = "\n".join((
                self.command,
                urllib.parse.quote(urllib.parse.unquote(path), safe="/-_.~"),
                "&".join(pairs),
                *(f"{name}:{value}" for name, value in zip(names, values, strict=True)),
                "",
                match[4],
                self.headers["x-amz-content-sha256"],
            ))  # fmt: skip
            scope = f"{match[2]}/{match[3]}/s3/aws4_request"
            digest = hashlib.sha256(request.encode()).hexdigest()
            text = f"AWS4-HMAC-SHA256\n{self.headers['x-amz-date']}\n{scope}\n{digest}"
            key = f"AWS4{secret}".encode()
            for part in (match[2], match[3], "s3", "aws4_request", text):
                key = hmac.digest(key, part.encode(), "sha256")
            return key.hex()

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            length = {name.lower(): value for name, value in headers.items()}.get("content-length")
            for name, value in headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            is_head = self.command == "HEAD"
            self.send_header("Content-Length", (is_head and length) or str(len(body)))
            self.end_headers()
            if not is_head:
                self.wfile.write(body)

    with serving(host, Handler) as endpoint:
        running = StrictS3(endpoint)
        yield running
