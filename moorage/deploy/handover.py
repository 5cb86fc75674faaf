"""The handover after an apply: how to log in, which CA to trust, which DNS records to create."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moorage.answers.model import Answers
from moorage.deploy.certificates.trust import ca_file
from moorage.deploy.clients import docker_folder, login_command, registry_name
from moorage.desired import layout
from moorage.dns.desired_records import desired_records
from moorage.dns.local_resolver import is_usable_remotely, resolve_locally
from moorage.dns.lookup import DnsError
from moorage.dns.records import RecordSet


@dataclass(frozen=True)
class Handover:
    """The information that clients and operators need once a registry runs.

    Attributes:
        registry: The prefix of image names: the domain, and the port if it is not the default.
        login: The login command for the first user that can push, or the first user.
        ca_file: The private CA's certificate on this machine, or None.
        ca_place: Where else it is, for display; empty when there is no private CA.
        docker_ca_file: Where Docker looks for it; empty when there is no private CA.
        records: The DNS records the registry needs.
        no_records: Why there are none, for example a server's name has no address; else None.
        resolves_to: The addresses its name currently resolves to on this machine.
        is_resolved: Whether it resolves, and only to servers of this deployment.
        for_hosts: The addresses for clients' /etc/hosts; empty if the name resolves, or if a load
            balancer has the registry's address.
    """

    registry: str
    login: str
    ca_file: Path | None
    ca_place: str
    docker_ca_file: str
    records: tuple[RecordSet, ...]
    no_records: DnsError | None
    resolves_to: tuple[str, ...]
    is_resolved: bool
    for_hosts: tuple[str, ...]


def handover(
    answers: Answers,
    addresses: Mapping[str, str],
    found: tuple[str, ...] | None = None,
    certificate: bytes | None = None,
) -> Handover:
    """Return the handover; looks the registry's name up unless that was done.

    Args:
        answers: The operator's answers.
        addresses: Where clients reach each server, by label.
        found: The addresses the registry's name resolves to, if already looked up.
        certificate: The private CA's certificate, if known.
    """
    registry = registry_name(answers)
    is_private = answers.ssl.mode == "private_ca"
    domain = answers.registry.domain
    target = answers.dns.target if answers.dns.record == "cname" else None
    targets = [target] if target is not None else list(dict.fromkeys(addresses.values()))
    expected: set[str] = set()
    for address in targets:
        expected |= set(resolve_locally(address))
    if found is None:
        found = resolve_locally(domain)
    records: tuple[RecordSet, ...] = ()
    no_records = None
    try:
        records = desired_records(answers, addresses)
    except DnsError as error:
        no_records = error
    return Handover(
        registry=registry,
        login=login_command(answers),
        ca_file=ca_file(answers, certificate),
        ca_place=f"the last certificate in {layout.TLS_CERTIFICATE} on the server"
        if is_private
        else "",
        docker_ca_file=f"{docker_folder(registry)}/ca.crt" if is_private else "",
        records=records,
        no_records=no_records,
        resolves_to=found,
        is_resolved=bool(found) and set(found) <= expected,
        for_hosts=()
        if found or answers.ssl.mode == "none"
        else tuple(sorted(filter(is_usable_remotely, expected))),
    )
