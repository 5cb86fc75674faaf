"""Verify against what is no registry: one failed check in plain words, the others skipped."""

from __future__ import annotations

import contextlib
import datetime
import re
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificate_maker import Authority
from listening import listening
from patience import slowness

from moorage.answers.model import Answers
from moorage.deploy.verify import registry_client
from moorage.deploy.verify.targets import Target
from moorage.deploy.verify.verify import CHECKS, Check, verify
from moorage.errors import ExitCode

NAME = "registry.test"
CRYPTIC = re.compile(r"_ssl|\[Errno|errno|[A-Z][a-z]+Error\b|Exception|\b[A-Z]+_[A-Z_]+\b")
Behave = Callable[[socket.socket], object]


@contextlib.contextmanager
def _listening(behave: Behave) -> Iterator[int]:
    """Run a server that does something with each connection; yield its port."""
    with listening(lambda connection, _: behave(connection)) as port:
        yield port


def _checks(port: int, ca: bytes | None = None) -> tuple[Check, list[Check]]:
    answers = Answers.model_validate(
        {
            "registry": {"domain": NAME},
            "servers": [{"host": "web1"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        }
    )
    target = Target("web1", "127.0.0.1", port)
    found = verify(answers, [target], user=None, password=None, ca_certificate=ca)
    assert found.exit_code == ExitCode.FAILED
    first, *others = found.checks
    assert len(others) > 5
    assert {check.key for check in found.checks} <= set(CHECKS)
    assert {check.status for check in others} == {"skipped"}
    for check in found.checks:
        assert not CRYPTIC.search(check.detail), check.detail
    assert first.status == "bad"
    assert first.problem is not None
    assert first.problem.advice
    return first, others


def _say_nothing(connection: socket.socket) -> None:
    connection.recv(1)
    time.sleep(5)


def _plain_http(connection: socket.socket) -> None:
    connection.recv(100)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    connection.recv(1000)


def _another_protocol(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    connection.recv(1000)


def _hang_up(connection: socket.socket) -> None:
    connection.recv(1)


def _reset(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _drip(connection: socket.socket) -> None:
    # The beginning of a handshake record that is never whole.
    for byte in b"\x16\x03\x03\x40\x00" + bytes(200):
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("behave", "told"),
    [
        (_say_nothing, "sends nothing"),
        (_drip, "sends nothing"),
        (_plain_http, "does not speak TLS"),
        (_another_protocol, "does not speak TLS"),
        (_hang_up, "closes it during the TLS handshake"),
        (_reset, "closes it during the TLS handshake"),
    ],
)
def test_a_port_without_tls(monkeypatch: pytest.MonkeyPatch, behave: Behave, told: str) -> None:
    monkeypatch.setattr(registry_client, "_REACH", 1)
    began = time.monotonic()
    with _listening(behave) as port:
        first, _ = _checks(port)
    assert time.monotonic() - began < 5 * slowness()
    assert (first.key, first.name) == ("reach", f"reach port {port}")
    assert told in first.detail
    assert first.problem is not None
    assert first.problem.code == "no_tls"


def _tls(tmp_path: Path, pem: bytes, key: bytes, then: Behave) -> Behave:
    files = tmp_path / "chain.pem", tmp_path / "key.pem"
    files[0].write_bytes(pem)
    files[1].write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            then(secured)

    return behave


def _days(number: int) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=number)


@pytest.mark.parametrize(
    ("names", "until", "since", "is_known", "told"),
    [
        (NAME, -1, -9, True, "the certificate has expired"),
        (NAME, 9, 1, True, "the certificate is not valid yet"),
        ("other.test", 9, -9, True, f"the certificate is not valid for {NAME}"),
        (NAME, 9, -9, False, "issued by an authority that this machine does not trust"),
    ],
)
def test_a_certificate_that_is_not_trusted(
    tmp_path: Path, names: str, until: int, since: int, is_known: bool, told: str
) -> None:
    authority = Authority("a test")
    pem, key = authority.issue(names, since=_days(since), until=_days(until))
    with _listening(_tls(tmp_path, pem, key, _hang_up)) as port:
        first, others = _checks(port, authority.pem if is_known else Authority("another").pem)
    assert (first.key, first.name) == ("certificate", "certificate")
    assert told in first.detail
    assert first.problem is not None
    assert first.problem.code == "certificate_untrusted"
    assert "certificate" not in {check.key for check in others}


@pytest.mark.parametrize(
    ("then", "told"),
    [
        (_hang_up, "the other side closed the connection"),
        (lambda it: it.recv(9) and it.sendall(b"SSH-2.0-OpenSSH\r\n"), "does not speak HTTP"),
        (
            lambda it: it.recv(9) and it.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
            "is incomplete",
        ),
    ],
)
def test_tls_without_a_registry_behind_it(tmp_path: Path, then: Behave, told: str) -> None:
    authority = Authority("a test")
    with _listening(_tls(tmp_path, *authority.issue(NAME), then)) as port:
        first, _ = _checks(port, authority.pem)
    assert told in first.detail
