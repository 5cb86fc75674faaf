"""The client that verifies: servers that drop, refuse or drip do not keep it waiting."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from patience import slowness

from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.verify import registry_client
from moorage.deploy.verify.registry_client import RegistryClient
from moorage.deploy.verify.targets import Target
from moorage.deploy.verify.verify import verify
from moorage.errors import MoorageError


@contextlib.contextmanager
def dripping(begin: bytes, drip: bytes) -> Iterator[RegistryClient]:
    """Run a server that says something and then a byte now and then, without end."""
    ended = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(begin)
                while not ended.wait(0.05):
                    connection.sendall(drip)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield RegistryClient("127.0.0.1", listener.getsockname()[1], "registry.test", tls=False)
        ended.set()
        thread.join()


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_a_response_that_drips_times_out(monkeypatch: pytest.MonkeyPatch, begin: bytes) -> None:
    monkeypatch.setattr(registry_client, "_DEADLINE", 0.5)
    started = time.monotonic()
    with dripping(begin, b"x") as client, pytest.raises(MoorageError) as caught:
        client.request("GET", "/v2/")
    assert caught.value.code == "too_slow"
    assert time.monotonic() - started < 10 * slowness()


def test_a_port_that_is_closed_fails_one_check_and_skips_the_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answers = Answers.model_validate(
        {
            "registry": {"domain": "registry.test"},
            "servers": [{"host": "web1"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        }
    )
    found = verify(
        answers, [Target("web1", "127.0.0.1", port)], user=None, password=None, ca_certificate=None
    )
    first, *others = found.checks
    assert (first.name, first.status) == (f"reach port {port}", "bad")
    assert "refuses connections" in first.detail
    assert len(others) > 5
    assert {check.status for check in others} == {"skipped"}


@pytest.mark.parametrize("location", ["http://[", "/v2/\xe9"])
def test_an_invalid_location_is_an_error_of_the_server(location: str) -> None:
    client = RegistryClient("127.0.0.1", 1, "registry.test", tls=False)
    with pytest.raises(MoorageError) as caught:
        client.request("PATCH", location)
    assert caught.value.code == "bad_location"


@contextlib.contextmanager
def a_registry(location: str) -> Iterator[int]:
    """Run a server that takes everything and redirects every pull of a layer; yield its port."""
    manifest: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            if "/blobs/" in self.path:
                self._answer(307, Location=location)
            elif "/manifests/" in self.path:
                self._answer(200, manifest[-1])
            elif self.headers["Authorization"]:
                self._answer(200)
            else:
                self._answer(401, WWW_Authenticate="Basic")

        def do_POST(self) -> None:
            self._answer(202, Location="/v2/uploads/1")

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if "/manifests/" in self.path:
                manifest.append(body)
            self._answer(201)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("location", "status", "detail"),
    [
        ("https://bucket.example/layer", "good", "layer redirected to bucket.example"),
        ("layer", "bad", "not an absolute URL"),
        ("http://[", "bad", "not a valid URL"),
    ],
)
def test_a_layer_can_redirect_to_any_address(location: str, status: str, detail: str) -> None:
    answers = Answers.model_validate(
        {
            "registry": {"domain": "registry.test"},
            "servers": [{"host": "web1"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
            "ssl": {"mode": "none"},
        }
    )
    with a_registry(location) as port:
        found = verify(
            answers,
            [Target("web1", "127.0.0.1", port)],
            user="ci",
            password=Secret("secret"),
            ca_certificate=None,
            large_upload=False,
        )
    pull = next(check for check in found.checks if check.name == "pull")
    assert pull.status == status
    assert detail in pull.detail
