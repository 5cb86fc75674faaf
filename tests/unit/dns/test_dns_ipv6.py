"""AAAA records that lead nowhere, found with real ports of this machine."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from moorage.dns import findings
from moorage.dns.findings import find
from moorage.dns.operations import DnsCheck
from moorage.dns.records import RecordSet

NAME = "registry.example.com"


@pytest.fixture(autouse=True)
def has_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has a way out over IPv6, which a test machine may lack."""
    monkeypatch.setattr(findings, "has_ipv6", lambda: True)


def _found(port: int, read: Sequence[str] | None, serving: Sequence[str] = ()) -> list[str]:
    wanted = (RecordSet(NAME, "AAAA", ("::1",), 300),)
    check = DnsCheck(NAME, "example.com", wanted, (), ())
    found = find(check, port=port, addresses6=read, serving6=serving)
    return [f"{each.code}: {each}" for each in found]


def test_the_address_of_a_deployed_server_is_tested() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        assert _found(port, ["::1"], ["::1"]) == []
    [found] = _found(port, ["::1"], ["::1"])
    assert f"ipv6_unreachable: {NAME} has an AAAA record for ::1" in found
    assert f"does not answer on port {port}" in found
    assert "firewall" in found
    # Before the first apply nothing listens there.
    assert _found(port, ["::1"]) == []


def test_an_address_of_an_unknown_server_is_reported_without_a_test() -> None:
    [found] = _found(443, ["2001:db8::1"], ["2001:db8::1"])
    assert "is not an address of any server" in found
