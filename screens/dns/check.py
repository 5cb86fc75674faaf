"""Check the DNS records of a draft, and change them. No Textual in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moorage.answers.model import Answers
from moorage.answers.redact import Redactor
from moorage.answers.resolve import Resolver
from moorage.answers.secrets import Secret, SecretReference
from moorage.errors import MoorageError, SecretName
from tui.document.draft import Draft

if TYPE_CHECKING:
    from moorage.dns.findings import Finding
    from moorage.dns.operations import DnsCheck, DnsPlan, DnsReport
    from moorage.dns.providers import Resolve
    from moorage.dns.records import RecordChange


@dataclass(frozen=True)
class NameCheck:
    """The current and the desired records of the registry's name.

    Attributes:
        answers: The answers the check was made for.
        check: The replies of the zone's name servers and of this machine's resolver.
        changes: The changes from the current to the desired records.
        findings: Problems that clients or the certificate authority will run into.
        plan: The provider's plan; None if it has none, or was not asked.
        problem: Why the provider did not answer; None if it did, or was not asked.
    """

    answers: Answers
    check: DnsCheck
    changes: tuple[RecordChange, ...]
    findings: tuple[Finding, ...]
    plan: DnsPlan | None = None
    problem: MoorageError | None = None


def answers_to_check(draft: Draft) -> Answers:
    """Return answers with what the draft says about DNS, and sample values for the rest.

    Raises:
        MoorageError: The name or the servers are missing or invalid.
    """
    from pydantic import ValidationError

    domain = draft.domain
    if not domain or draft.problem_at("registry.domain"):
        raise MoorageError("The registry has no name yet.", code="no_name")
    if draft.problem_at("dns"):
        raise MoorageError("Some DNS settings are missing or invalid.", code="not_yet")
    servers = [
        {key: server[key] for key in ("host", "address", "connection") if server.get(key)}
        for server in draft.items("servers")
    ]
    if not servers:
        raise MoorageError("There are no servers yet.", code="no_server")
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
        raise MoorageError("Some server settings are invalid.", code="not_yet") from error


def resolver(ask: Callable[[SecretName, str | None], Secret | None], redactor: Redactor) -> Resolve:
    """Return a function that resolves the provider's secrets.

    Args:
        ask: Asks the operator; returns None if it must not prompt.
        redactor: Gets every secret that is resolved.
    """
    finds = Resolver(ask)

    def resolve(reference: SecretReference, where: str) -> Secret:
        secret = finds.resolve(reference, where)
        redactor.add(secret)
        return secret

    return resolve


def check_records(
    answers: Answers,
    addresses: Mapping[str, str],
    resolve: Resolve,
    cancelled: Callable[[], bool],
    *,
    asks_provider: bool = True,
) -> NameCheck:
    """Check the records. Blocks, for seconds if name servers do not answer.

    Args:
        answers: The result of :func:`answers_to_check`.
        addresses: The servers' public addresses, by label.
        resolve: Resolves secrets.
        cancelled: Whether to stop.
        asks_provider: Whether to ask the provider, too, with the operator's credentials.

    Raises:
        MoorageError: A server's name does not resolve, or the check was cancelled.
    """
    from moorage.dns.caa import issuer_identity
    from moorage.dns.findings import find
    from moorage.dns.operations import check_dns, plan_dns
    from moorage.dns.records import plan_changes

    check = check_dns(answers, addresses)
    _stop_if(cancelled)
    findings = find(
        check, port=answers.registry.port, authority=issuer_identity(answers), cancelled=cancelled
    )
    _stop_if(cancelled)
    plan, problem = None, None
    if asks_provider and answers.dns.provider != "manual":
        try:
            plan = plan_dns(answers, addresses, resolve)
        except MoorageError as error:
            problem = error
        _stop_if(cancelled)
    if plan is not None:
        return NameCheck(answers, check, plan.changes, findings, plan)
    answering = next((each for each in check.replies if not each.fault), None)
    current = answering.records if answering else ()
    changes = plan_changes(current, check.desired, may_be_subset=answers.dns.failover is not None)
    return NameCheck(answers, check, changes, findings, None, problem)


def update_records(found: NameCheck, cancelled: Callable[[], bool]) -> DnsReport:
    """Apply the changes that were shown, and wait until the name servers serve them.

    Args:
        found: The check that was shown; it has a plan.
        cancelled: Whether to stop waiting.

    Raises:
        MoorageError: The provider refuses, or the records have changed since the check.
    """
    from moorage.dns.operations import apply_dns

    assert found.plan is not None
    return apply_dns(found.answers, found.plan, replace=True, wait=20, cancelled=cancelled)


def _stop_if(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise MoorageError("Check stopped.", code="cancelled")
