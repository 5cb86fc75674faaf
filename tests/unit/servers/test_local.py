"""Scripts on this machine. They run as whoever runs the tests, so without sudo."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest
from patience import slowness

from moorage.answers.model import Server
from moorage.answers.secrets import Secret, SecretReference
from moorage.errors import CannotConnect, SecretName
from moorage.servers.connect import open_transport
from moorage.servers.local import LocalTransport
from moorage.servers.transport import Cancel, Exchange, HostKey


class Nobody:
    def accept_host_key(self, key: HostKey) -> bool:
        raise AssertionError("there is no host key here")

    def secret(
        self, what: SecretName, server: str | None, rejected: Secret | None = None
    ) -> Secret | None:
        return None


def resolve(
    reference: SecretReference | None, what: str, rejected: Secret | None = None
) -> Secret | None:
    return None


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> LocalTransport:
    monkeypatch.setattr(os, "geteuid", lambda: 0)  # no sudo, whoever runs this
    transport = open_transport(Server(host="here", connection="local"), Nobody(), resolve)
    assert isinstance(transport, LocalTransport)
    return transport


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * (1 << 20)


def test_a_script_reads_its_payload_and_returns_its_output(local: LocalTransport) -> None:
    completed = local.run("cat; echo oops >&2; exit 3", payload=b"data\n")
    assert (completed.exit_status, completed.stdout, completed.stderr) == (3, b"data\n", b"oops\n")


def test_large_streams_flow_in_all_directions(local: LocalTransport) -> None:
    received = [0]

    def count(data: bytes) -> None:
        received[0] += len(data)

    script = "head -c 3000000 /dev/zero >&2 & cat; wait"
    completed = local.run(script, payload=chunks(50), on_stdout=count)
    assert (received[0], len(completed.stderr)) == (50 << 20, 3000000)


def test_an_unread_payload_does_not_block_the_script(local: LocalTransport) -> None:
    assert local.run("exit 4", payload=chunks(10)).exit_status == 4


def test_a_payload_that_fails_stops_the_run_with_its_own_error(local: LocalTransport) -> None:
    def broken() -> Iterator[bytes]:
        yield b"begin"
        raise FileNotFoundError("the archive is gone")

    with pytest.raises(FileNotFoundError, match="archive"):
        local.run("cat; sleep 30", payload=broken())


def test_more_can_be_sent_after_the_payload(local: LocalTransport) -> None:
    def go_on(exchange: Exchange) -> None:
        exchange.send(b"second\n")
        exchange.finish()

    assert local.run("cat", payload=b"first\n", on_start=go_on).stdout == b"first\nsecond\n"


def test_a_script_that_ends_during_a_send_succeeds(local: LocalTransport) -> None:
    def go_on(exchange: Exchange) -> None:
        time.sleep(0.3)
        exchange.send(b"too late\n")

    assert local.run("exit 6", on_start=go_on).exit_status == 6


def test_output_right_before_the_end_is_not_lost(local: LocalTransport) -> None:
    for _ in range(30):
        assert local.run("echo last words").stdout == b"last words\n"


def test_a_background_process_does_not_block_the_script(local: LocalTransport) -> None:
    started = time.monotonic()
    assert local.run("sleep 20 & echo done").stdout == b"done\n"
    assert time.monotonic() - started < 5 * slowness()


def test_a_signal_shows_as_a_negative_status(local: LocalTransport) -> None:
    assert local.run("kill -9 $$").exit_status == -9


@pytest.mark.parametrize("how", ["silent", "cancelled", "connection_closed"])
def test_timeouts_and_cancel_end_the_wait(local: LocalTransport, how: str) -> None:
    cancel = Cancel()
    timer = {"cancelled": cancel.set, "connection_closed": local.close}.get(how)
    if timer is not None:
        threading.Timer(0.3, timer).start()
    started = time.monotonic()
    with pytest.raises(CannotConnect) as caught:
        local.run("sleep 20", timeout=0.5 if timer is None else None, cancel=cancel)
    assert (caught.value.code, caught.value.server) == (how, "here")
    assert time.monotonic() - started < 3 * slowness()
    assert local.run("echo again").stdout == b"again\n"


def test_the_address_is_this_machine(local: LocalTransport) -> None:
    assert local.public_address == "127.0.0.1"


def test_a_script_that_drips_is_stopped_at_its_deadline(local: LocalTransport) -> None:
    started = time.monotonic()
    with pytest.raises(
        CannotConnect, match="keeps sending, but has not finished after 1 s"
    ) as caught:
        local.run("while :; do echo x; sleep 0.1; done", timeout=60, deadline=1)
    assert caught.value.code == "too_slow"
    assert time.monotonic() - started < 5 * slowness()


@pytest.mark.parametrize("where", ["", " >&2"])
def test_endless_output_is_not_kept(local: LocalTransport, where: str) -> None:
    with pytest.raises(CannotConnect) as caught:
        local.run(f"yes{where}")
    assert caught.value.code == "too_much"


def test_endless_output_can_be_cancelled(local: LocalTransport) -> None:
    cancel = Cancel()
    threading.Timer(0.3, cancel.set).start()
    with pytest.raises(CannotConnect) as caught:
        local.run("yes", on_stdout=lambda data: None, cancel=cancel)
    assert caught.value.code == "cancelled"
