"""Open the DNS provider that the answers name."""

from __future__ import annotations

from collections.abc import Callable

from moorage.answers.model import Answers
from moorage.answers.secrets import Secret, SecretReference
from moorage.dns.lookup import DnsError
from moorage.dns.manual import ManualProvider
from moorage.dns.records import Provider

Resolve = Callable[[SecretReference, str], Secret]
"""Resolves a secret reference; the text is its path in the answers."""


def open_provider(answers: Answers, resolve: Resolve) -> Provider:
    """Return the provider without connecting to it.

    Args:
        answers: The operator's answers.
        resolve: Resolves secret references.

    Raises:
        SecretUnavailable: A secret reference cannot be resolved.
        DnsError: There is no such provider, or it has no such option.
    """
    dns = answers.dns
    if dns.provider == "rfc2136":
        return _rfc2136(answers, resolve)
    if dns.provider == "route53":
        return _route53(answers, resolve)
    if dns.provider == "lexicon":
        return _lexicon(answers, resolve)
    return ManualProvider(dns.nameservers)


def _rfc2136(answers: Answers, resolve: Resolve) -> Provider:
    from moorage.dns.rfc2136 import Key, Rfc2136Provider

    section = answers.dns.rfc2136
    assert section is not None
    key = None
    if section.key is not None and section.key_name is not None:
        secret = resolve(section.key, "dns.rfc2136.key").reveal()
        key = Key(section.key_name, section.algorithm, secret)
    return Rfc2136Provider(section.server, section.port, key, answers.dns.zone)


def _route53(answers: Answers, resolve: Resolve) -> Provider:
    from moorage.answers.model_dns import Route53
    from moorage.cloud.route53 import HealthCheck, Keys, Route53Provider

    section = answers.dns.route53 or Route53()
    failover = answers.dns.failover
    keys = None
    if section.accesskey is not None and section.secretkey is not None:
        keys = Keys(
            resolve(section.accesskey, "dns.route53.accesskey").reveal(),
            resolve(section.secretkey, "dns.route53.secretkey").reveal(),
        )
    check = None
    if failover is not None:
        check = HealthCheck(answers.registry.port, failover.interval, failover.fall)
    return Route53Provider(section.zone_id, keys, section.profile, section.endpoint, check)


def _lexicon(answers: Answers, resolve: Resolve) -> Provider:
    from moorage.dns.lexicon import LexiconProvider, known_options

    section = answers.dns.lexicon
    assert section is not None
    known = known_options(section.name)
    for name in section.options:
        if name.replace("-", "_") not in known:
            raise DnsError(
                f"{section.name} has no option {name}.",
                advice=f"Its options: {', '.join(known) or 'none'}.",
                fields=("dns.lexicon.options",),
                code="no_option",
            )
    options: dict[str, str | int | bool] = {}
    for name, value in section.options.items():
        if isinstance(value, (str, int, bool)):
            options[name] = value
        else:
            options[name] = resolve(value, f"dns.lexicon.options.{name}").reveal()
    return LexiconProvider(
        section.name, options, answers.dns.zone, answers.dns.nameservers, answers.dns.seconds
    )
