"""What the draft says about the registry's name, looked at: no Textual in here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moorage.answers.model import Answers
from moorage.answers.redact import Redactor
from moorage.answers.resolve import Resolver
from moorage.answers.secrets import Secret, SecretReference
from moorage.errors import MoorageError, SecretName
from moorage.servers.ssh.config import SshConfig
from tui.document.draft import Draft

if TYPE_CHECKING:
    from moorage.dns.findings import Finding
    from moorage.dns.operations import DnsCheck, DnsPlan, DnsReport
    from moorage.dns.providers import Resolve
    from moorage.dns.records import RecordChange


@dataclass(frozen=True)
class NameLook:
    """What is and what is wanted.

    Attributes:
        answers: What was looked at.
        check: What the zone's own name servers and this machine say.
        changes: From what is there to what is wanted.
        findings: What will surprise somebody.
        plan: What the provider would change; None when it cannot, or was not asked.
        problem: Why the provider did not answer; None when it did, or was not asked.
    """

    answers: Answers
    check: DnsCheck
    changes: tuple[RecordChange, ...]
    findings: tuple[Finding, ...]
    plan: DnsPlan | None = None
    problem: MoorageError | None = None


def about_the_name(draft: Draft) -> Answers:
    """Return answers that hold what the draft says about the name, and nothing else of it.

    Raises:
        MoorageError: There is no name or server yet, or something about them is wrong.
    """
    from pydantic import ValidationError

    domain = draft.domain
    if not domain or draft.problem_at("registry.domain"):
        raise MoorageError("The registry has no name yet.", code="no_name")
    if draft.problem_at("dns"):
        raise MoorageError("Something about DNS is still missing or wrong.", code="not_yet")
    servers = [
        {key: server[key] for key in ("host", "address", "connection") if server.get(key)}
        for server in draft.items("servers")
    ]
    if not servers:
        raise MoorageError("No server has a known address yet.", code="no_server")
    dns = {
        key: value
        for key, value in draft.get("dns", {}).items()
        if key not in {"rfc2136", "route53", "lexicon"} - {draft.text("dns.provider")}
    }
    ssl: dict[str, Any] = {}
    if draft.text("ssl.mode") == "acme" and not draft.problem_at("ssl"):
        acme = draft.get("ssl.acme", {})
        ssl = {"mode": "acme", "acme": {key: acme[key] for key in ("directory", "staging")
                                        if key in acme}}  # fmt: skip
    try:
        return Answers.model_validate(
            {
                "ssl": ssl,
                "registry": {"domain": domain, "port": draft.get("registry.port", 443)},
                "servers": servers,
                "credentials": {"users": [{"name": "nobody", "password": {"generate": True}}]},
                "storage": {"driver": "s3", "s3": {"bucket": "nowhere", "region": "nowhere"}},
                "dns": dns,
            }
        )
    except ValidationError as error:
        raise MoorageError("Something about the servers is still wrong.", code="not_yet") from error


def public_addresses(draft: Draft) -> dict[str, str]:
    """Return where clients reach each server: the address given, or ssh's HostName."""
    try:
        config = SshConfig.load()
    except (MoorageError, OSError):
        config = None
    found = {}
    for server in draft.items("servers"):
        label = str(server.get("host", ""))
        address = str(server.get("address") or "")
        if not address and server.get("connection") != "local":
            address = label
            with contextlib.suppress(MoorageError):
                address = config.lookup(label).hostname if config and label else label
        if label and address:
            found[label] = address
    return found


def resolver(ask: Callable[[SecretName, str | None], Secret | None], redactor: Redactor) -> Resolve:
    """Return what finds the provider's secrets.

    Args:
        ask: Asks the operator; returns None when nobody is to be asked.
        redactor: Learns them.
    """
    finds = Resolver(ask)

    def resolve(reference: SecretReference, where: str) -> Secret:
        secret = finds.resolve(reference, where)
        redactor.add(secret)
        return secret

    return resolve


def look(
    answers: Answers,
    addresses: Mapping[str, str],
    resolve: Resolve,
    cancelled: Callable[[], bool],
    *,
    asks_provider: bool = True,
) -> NameLook:
    """Look at the name; blocks for seconds where name servers are silent.

    Args:
        answers: What :func:`about_the_name` returned.
        addresses: Where clients reach each server, by label.
        resolve: Finds secrets.
        cancelled: Ends it.
        asks_provider: Whether the provider is asked, too, with the operator's login.

    Raises:
        MoorageError: A server's name has no address, or it was cancelled.
    """
    from moorage.dns.caa import issuer_identity
    from moorage.dns.findings import find
    from moorage.dns.operations import check_dns, plan_dns
    from moorage.dns.records import plan_changes

    check = check_dns(answers, addresses)
    _go_on(cancelled)
    findings = find(
        check, port=answers.registry.port, authority=issuer_identity(answers), cancelled=cancelled
    )
    _go_on(cancelled)
    plan, problem = None, None
    if asks_provider and answers.dns.provider != "manual":
        try:
            plan = plan_dns(answers, addresses, resolve)
        except MoorageError as error:
            problem = error
        _go_on(cancelled)
    if plan is not None:
        return NameLook(answers, check, plan.changes, findings, plan)
    answering = next((each for each in check.replies if not each.fault), None)
    current = answering.records if answering else ()
    changes = plan_changes(current, check.desired, may_be_subset=answers.dns.failover is not None)
    return NameLook(answers, check, changes, findings, None, problem)


def make(found: NameLook, cancelled: Callable[[], bool]) -> DnsReport:
    """Make the changes that were shown, and wait until they are served.

    Args:
        found: What was shown; it has a plan.
        cancelled: Ends the waiting.

    Raises:
        MoorageError: The provider refuses, or something else is there by now.
    """
    from moorage.dns.operations import apply_dns

    assert found.plan is not None
    return apply_dns(found.answers, found.plan, replace=True, wait=20, cancelled=cancelled)


def _go_on(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise MoorageError("The check was stopped.", code="cancelled")
