"""A machine whose name servers know no name, so that no test waits for real ones."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest


def know_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lookups find only addresses and this machine."""
    look_up = socket.getaddrinfo

    def find(host: Any, *others: Any, **options: Any) -> Any:
        if host in (None, "", "localhost") or _is_address(host):
            return look_up(host, *others, **options)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def resolve(_resolver: object, name: Any, *_others: Any, **_options: Any) -> None:
        import dns.resolver

        raise dns.resolver.NXDOMAIN(qnames=[name], responses={})

    monkeypatch.setattr(socket, "getaddrinfo", find)
    monkeypatch.setattr("dns.resolver.Resolver.resolve", resolve)


def _is_address(host: Any) -> bool:
    try:
        ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return True
