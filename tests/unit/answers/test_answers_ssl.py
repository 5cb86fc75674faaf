"""The answers about TLS: what fits together, and what is said when it does not."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.answers.load import validate
from moorage.answers.resolve import references
from moorage.answers.secrets import FromEnvironment
from moorage.answers.ssl import LETS_ENCRYPT, LETS_ENCRYPT_STAGING


def _validated(**ssl: Any) -> Any:
    return validate(
        {
            "version": 1,
            "registry": {"domain": "registry.example.com"},
            "servers": [{"host": "203.0.113.10"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
            "ssl": ssl,
        }
    )


def _acme(**acme: Any) -> Any:
    return _validated(mode="acme", acme=acme)


def test_the_default_needs_no_internet_service() -> None:
    answers, problems = _validated()
    assert not problems
    assert answers.ssl.mode == "private_ca"
    assert answers.ssl.hsts is None
    assert answers.ssl.trusted_proxies == ()


def test_acme_needs_only_its_mode() -> None:
    answers, problems = _acme()
    assert not problems
    assert answers.ssl.acme.url == LETS_ENCRYPT
    assert answers.ssl.acme.is_public
    staging, _ = _acme(staging=True)
    assert staging.ssl.acme.url == LETS_ENCRYPT_STAGING
    assert not staging.ssl.acme.is_public


RFC2136 = {"server": "203.0.113.53", "name": "key.", "secret": {"env": "TSIG"}}


@pytest.mark.parametrize(
    ("acme", "where", "words"),
    [
        ({"challenge": "dns-01"}, "ssl.acme.dns", "needs a section dns"),
        ({"staging": True, "directory": "https://ca.example.com/d"}, "ssl.acme.staging", "remove"),
        ({"directory": "http://ca.example.com/d"}, "ssl.acme.directory", "https URL"),
        ({"email": "nobody"}, "ssl.acme.email", "an email address"),
        ({"external_account": {"kid": "k", "hmac": "clear"}}, "ssl.acme.external_account.hmac",
         "must not be a secret in plain text"),
        ({"dns": {"provider": "rfc2136", "credentials": {"name": "k"}}},
         "ssl.acme.dns.credentials", "needs secret, server"),
        ({"dns": {"provider": "rfc2136", "credentials": {**RFC2136, "secret": "clear"}}},
         "ssl.acme.dns.credentials.secret", "must not be a secret in plain text"),
        ({"dns": {"provider": "rfc2136", "credentials": {**RFC2136, "sevrer": "x"}}},
         "ssl.acme.dns.credentials.sevrer", "known: server, port"),
        ({"dns": {"provider": "route53", "credentials": {"access_key_id": "AKIA"}}},
         "ssl.acme.dns.credentials", "or neither"),
        ({"dns": {"provider": "rfc2136", "credentials": {**RFC2136, "server": "a\nb"}}},
         "ssl.acme.dns.credentials.server", "letters, digits"),
    ],
)  # fmt: skip
def test_conflicting_settings_are_reported_at_their_path(acme: Any, where: str, words: str) -> None:
    _, problems = _acme(**acme)
    found = {problem.dotted: problem.message for problem in problems}
    assert where in found, found
    if words.startswith("needs secret"):
        assert "secret" in found[where]
        assert "server" in found[where]
    else:
        assert words in found[where]
    assert not any("clear text" in message for message in found.values())


def test_networks_are_normalized() -> None:
    answers, problems = _validated(mode="none", trusted_proxies=["10.1.2.3/8", "192.0.2.7"])
    assert not problems
    assert answers.ssl.trusted_proxies == ("10.0.0.0/8", "192.0.2.7/32")
    _, wrong = _validated(trusted_proxies=["load-balancer"])
    assert "a network such as 10.0.0.0/8" in wrong[0].message


def test_every_secret_an_apply_resolves_is_known() -> None:
    dns = {"provider": "rfc2136", "credentials": RFC2136}
    account = {"kid": "k", "hmac": {"env": "HMAC"}}
    answers, _ = _acme(challenge="dns-01", dns=dns, external_account=account)
    found = {".".join(map(str, path)): each for path, each in references(answers)}
    assert found["ssl.acme.dns.credentials.secret"] == FromEnvironment("TSIG")
    assert found["ssl.acme.external_account.hmac"] == FromEnvironment("HMAC")
    # Of a mode that is not used, nothing is followed.
    other, _ = _validated(mode="private_ca", acme={"external_account": account})
    assert not [path for path, _ in references(other) if path[0] == "ssl"]
    locked, _ = _validated(private_ca={"passphrase": {"env": "CA"}})
    assert ("ssl", "private_ca", "passphrase") in [path for path, _ in references(locked)]
