"""The client that verifies: servers that drop, refuse or drip do not keep it waiting."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from moorage.answers.model import Answers
from moorage.deploy import registry_client
from moorage.deploy.registry_client import RegistryClient
from moorage.deploy.targets import Target
from moorage.deploy.verify import verify
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
def test_an_answer_that_drips_is_given_up_on(monkeypatch: pytest.MonkeyPatch, begin: bytes) -> None:
    monkeypatch.setattr(registry_client, "_DEADLINE", 0.5)
    started = time.monotonic()
    with dripping(begin, b"x") as client, pytest.raises(MoorageError) as caught:
        client.request("GET", "/v2/")
    assert caught.value.code == "too_slow"
    assert time.monotonic() - started < 10


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
