"""Derive the failover task from the answers."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.answers.model import Answers
from moorage.answers.model_dns import Failover
from moorage.dns import journal
from moorage.dns.records import Provider
from moorage.errors import MoorageError
from moorage.failover.health import Registry
from moorage.failover.verdict import Rules
from moorage.failover.watch import Task, Watched


def task_of(answers: Answers, addresses: Mapping[str, str], authority: bytes | None) -> Task:
    """Return the failover task.

    Args:
        answers: The operator's answers; without ``dns.failover``, the defaults apply.
        addresses: The address or host name at which clients reach each server, by label.
        authority: PEM of a CA to trust in addition to the system's.

    Raises:
        MoorageError: Failover is not possible with these answers.
    """
    if len(answers.servers) < 2:
        raise MoorageError(
            "failover needs at least two servers; the answers list only one.", code="no_watch"
        )
    if answers.dns.record == "cname":
        raise MoorageError(
            "failover needs address records; a CNAME can point to only one name.",
            advice="Use A and AAAA records.",
            fields=("dns.record",),
            code="no_watch",
        )
    rules = answers.dns.failover or Failover()
    return Task(
        answers.registry.domain,
        tuple(Watched(label, address) for label, address in addresses.items()),
        Registry(
            answers.registry.domain,
            answers.registry.port,
            answers.ssl.mode != "none",
            authority.decode() if authority else None,
        ),
        Rules(rules.interval, rules.fall, rules.rise),
        answers.dns.ttl or 60,
        tuple(sorted(journal.known_values(answers.registry.domain))),
    )


def check_provider(answers: Answers, provider: Provider) -> None:
    """Check that the failover service is useful with this provider.

    Raises:
        MoorageError: The provider checks the servers itself, or cannot change records.
    """
    if answers.dns.provider == "route53":
        raise MoorageError(
            "the failover service is not needed: Route 53 checks the servers itself and leaves out "
            "those that do not answer.",
            advice="'moorage dns apply FILE' creates the health checks if failover is set.",
            fields=("dns.failover",),
            code="no_watch",
        )
    if not provider.can_write:
        raise MoorageError(
            "the DNS records are managed by hand, so failover cannot change them.",
            advice="Choose rfc2136, route53 or lexicon as the provider.",
            fields=("dns.provider",),
            code="no_watch",
        )
