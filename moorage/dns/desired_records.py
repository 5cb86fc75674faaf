"""Derive the registry's DNS records from the answers."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.answers.model import Answers
from moorage.dns.local_resolver import is_usable_remotely, resolve_locally
from moorage.dns.lookup import DnsError
from moorage.dns.records import RecordSet, record_sets
from moorage.network import is_address


def desired_records(answers: Answers, addresses: Mapping[str, str]) -> tuple[RecordSet, ...]:
    """Return the records that point the registry's name to its servers.

    Args:
        answers: The operator's answers.
        addresses: The address or host name at which clients reach each server, by label.

    Raises:
        DnsError: A server's name does not resolve, or a CNAME has no target.
    """
    dns = answers.dns
    name = answers.registry.domain
    if dns.record == "cname":
        return record_sets(name, [_target(answers, addresses)], dns.seconds)
    values = [each for label in addresses for each in server_addresses(label, addresses[label])]
    is_checked = dns.provider == "route53" and dns.failover is not None
    return record_sets(name, dict.fromkeys(values), dns.seconds, checked=is_checked)


def server_addresses(label: str, address: str) -> tuple[str, ...]:
    """Return the IP addresses at which clients reach a server.

    Raises:
        DnsError: Its name does not resolve.
    """
    found = resolve_locally(address)
    usable = tuple(each for each in found if is_usable_remotely(each))
    if usable:
        return usable
    raise DnsError(
        f"the server's address {address} is not reachable from other machines: {', '.join(found)}."
        if found
        else f"the server's name {address} does not resolve, so no record can point to it.",
        advice="Give the server an address that clients can reach.",
        fields=("servers[].address",),
        server=label,
        code="no_address",
    )


def _target(answers: Answers, addresses: Mapping[str, str]) -> str:
    if answers.dns.target is not None:
        if answers.dns.target == answers.registry.domain:
            raise DnsError(
                f"a CNAME of {answers.registry.domain} cannot point to itself.",
                fields=("dns.target",),
                code="no_target",
            )
        return answers.dns.target
    names = list(dict.fromkeys(addresses.values()))
    if len(names) == 1 and not is_address(names[0]):
        return names[0]
    raise DnsError(
        "a CNAME points to exactly one host name, and "
        + ("there are several servers." if len(names) > 1 else f"the server is {names[0]}."),
        advice="Set that name, or use A and AAAA records.",
        fields=("dns.target", "dns.record"),
        code="no_target",
    )
