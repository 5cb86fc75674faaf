"""What people need to know once a registry runs: how to log in, what to trust, which name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moorage.answers.model import Answers
from moorage.deploy import ca
from moorage.deploy.clients import docker_folder, login_command, registry_name
from moorage.desired import layout
from moorage.dns.desired_records import desired_records
from moorage.dns.local_resolver import resolve_locally
from moorage.dns.lookup import DnsError
from moorage.dns.records import RecordSet


@dataclass(frozen=True)
class Handover:
    """What people need to know once a registry runs.

    Attributes:
        registry: What stands before an image's name: the domain, and the port if it is needed.
        login: The command that logs in the first user who may push, or the first user.
        ca_file: The private CA's certificate on this machine, or None when there is none here.
        ca_place: Where else it is, for people; empty when there is no private CA.
        docker_ca_file: Where Docker looks for it; empty when there is no private CA.
        records: The DNS records the registry needs.
        no_records: Why there are none, as when a server's name has no address; else None.
        resolves_to: The addresses its name has now, on this machine.
        is_resolved: Whether all of these are servers of this deployment, and there is one.
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


def handover(
    answers: Answers, addresses: Mapping[str, str], found: tuple[str, ...] | None = None
) -> Handover:
    """Say what people need to know; looks the registry's name up.

    Args:
        answers: What the operator decided.
        addresses: Where clients reach each server, by label.
        found: What the registry's name resolves to, if that was looked up already.
    """
    registry = registry_name(answers)
    is_private = answers.ssl.mode == "private_ca"
    domain = answers.registry.domain
    target = answers.dns.target if answers.dns.record == "cname" else None
    leads_to = [target] if target is not None else list(dict.fromkeys(addresses.values()))
    folder = ca.folder_of(answers.ssl.private_ca.name, domain) if is_private else None
    kept = folder / "ca.pem" if folder else None
    wanted: set[str] = set()
    for address in leads_to:
        wanted |= set(resolve_locally(address))
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
        ca_file=kept if kept is not None and kept.is_file() else None,
        ca_place=f"the last certificate in {layout.TLS_CERTIFICATE} on the server"
        if is_private
        else "",
        docker_ca_file=f"{docker_folder(registry)}/ca.crt" if is_private else "",
        records=records,
        no_records=no_records,
        resolves_to=found,
        is_resolved=bool(found) and set(found) <= wanted,
    )
