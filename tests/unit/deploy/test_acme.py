"""When a server asks for a certificate, and how certbot's log reads."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from typing import Any

import pytest
from certificate_maker import Authority

from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.answers.ssl import LETS_ENCRYPT
from moorage.deploy.certificates.acme import renewal_of, what_to_ask
from moorage.deploy.materials import check_for_certbot
from moorage.deploy.plan.preflight import find_notes, find_problems
from moorage.desired import layout
from moorage.desired.build import desired
from moorage.desired.state import DesiredState, Materials, Platform
from moorage.dns.local_resolver import is_usable_remotely
from moorage.errors import AnswersError
from moorage.servers.facts import Facts, ManagedFile

NAME = "registry.example.com"
ROOT = Authority("Public root")
RENEWAL = f"""\
# renew_before_expiry = 30 days
version = 2.1.0
[renewalparams]
account = abc
key_type = ecdsa
server = {LETS_ENCRYPT}
authenticator = webroot
"""


def _wanted(
    peers: tuple[tuple[str, ...], ...] = (), *, ipv6: bool = True, **acme: Any
) -> DesiredState:
    answers = Answers.model_validate(
        {
            "registry": {"domain": NAME},
            "servers": [{"host": "one"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
            "ssl": {"mode": "acme", "acme": acme},
        }
    )
    materials = Materials(Secret("http"), Secret("auth"))
    return desired(answers, materials, Platform(ipv6=ipv6, peers=peers), "blue")


def _facts(days: float = 60, names: tuple[str, ...] = (NAME,), renewal: str = RENEWAL) -> Facts:
    now = datetime.datetime.now(datetime.UTC)
    leaf, key = ROOT.issue(
        *names,
        since=now - datetime.timedelta(days=90),
        until=now + datetime.timedelta(days=days),
    )
    contents = {
        layout.TLS_CERTIFICATE: leaf + ROOT.pem,
        layout.TLS_KEY: key,
        layout.RENEWAL: renewal.encode(),
    }
    files = {
        path: ManagedFile(path, content, 0o600, "root", "root")
        for path, content in contents.items()
    }
    return Facts("one", clock=now.timestamp(), files=files)


def _recorded(wanted: DesiredState) -> dict[str, str]:
    return {file.path: file.digest for file in wanted.files}


def test_a_valid_certificate_is_left_to_the_timer() -> None:
    wanted = _wanted()
    assert what_to_ask(wanted, _facts(), _recorded(wanted)) is None


@pytest.mark.parametrize(
    ("facts", "acme", "reason", "is_forced"),
    [
        (replace(_facts(), files={}), {}, "the server has no ACME certificate yet", False),
        (_facts(), {"staging": True}, "the authority changes", True),
        (_facts(), {"key_type": "rsa"}, "the kind of key changes", True),
        (_facts(), {"challenge": "dns-01", "dns": {"provider": "route53"}},
         "the challenge changes", True),
        (_facts(names=("other.example.com",)), {}, "is not valid for registry.example.com", False),
        (_facts(days=-1), {}, "expired", False),
        (_facts(days=5), {}, "expires in 4 days and was not renewed", False),
    ],
)  # fmt: skip
def test_each_fault_is_a_reason_to_request_a_certificate(
    facts: Facts, acme: Any, reason: str, is_forced: bool
) -> None:
    wanted = _wanted(**acme)
    ask = what_to_ask(wanted, facts, _recorded(wanted))
    assert ask is not None
    assert reason in ask.reason
    assert ask.is_forced is is_forced


def test_short_lived_certificates_are_not_always_overdue() -> None:
    wanted, now = _wanted(), datetime.datetime.now(datetime.UTC)
    facts = _facts()
    leaf, key = ROOT.issue(
        NAME, since=now - datetime.timedelta(days=1), until=now + datetime.timedelta(days=5)
    )
    files = dict(facts.files)
    for path, content in ((layout.TLS_CERTIFICATE, leaf + ROOT.pem), (layout.TLS_KEY, key)):
        files[path] = replace(files[path], content=content)
    assert what_to_ask(wanted, replace(facts, files=files), _recorded(wanted)) is None


def test_a_certificate_from_elsewhere_is_replaced() -> None:
    wanted = _wanted()
    recorded = {**_recorded(wanted), layout.TLS_CERTIFICATE: "digest"}
    ask = what_to_ask(wanted, _facts(), recorded)
    assert ask is not None
    assert "not from the ACME authority" in ask.reason


LOG = (
    "2026-03-01 10:00:00,123:DEBUG:certbot._internal.display.obj:Notifying user: "
    "Processing /etc/letsencrypt/renewal/{name}.conf"
)
NOT_DUE = (
    "2026-03-01 10:00:01,0:DEBUG:certbot._internal.display.obj:Notifying user: "
    "Certificate not yet due for renewal"
)
FAILED = (
    "2026-03-01 10:00:02,5:ERROR:certbot._internal.renewal:Failed to renew certificate moorage "
    "with error: Some challenges have failed."
)
WRITTEN = (
    "2026-03-01 10:00:03,0:DEBUG:certbot._internal.storage:Writing new config "
    "/etc/letsencrypt/renewal/moorage.conf.new."
)


@pytest.mark.parametrize(
    ("lines", "outcome", "message"),
    [
        ([], "", ""),
        ([LOG.format(name="moorage"), NOT_DUE], "not due", ""),
        ([LOG.format(name="moorage"), FAILED], "failed", "Some challenges have failed."),
        ([LOG.format(name="moorage"), FAILED, LOG.format(name="blog"), NOT_DUE], "failed",
         "Some challenges have failed."),
        ([LOG.format(name="moorage"), FAILED, LOG.format(name="moorage"), WRITTEN], "renewed", ""),
        ([LOG.format(name="moorage"), WRITTEN, "deploy-hook command returned error code 1"],
         "failed", "nginx could"),
        ([LOG.format(name="moorage")], "interrupted", ""),
    ],
)  # fmt: skip
def test_the_last_attempt_is_read_from_certbots_log(
    lines: list[str], outcome: str, message: str
) -> None:
    facts = replace(_facts(), certbot_log=tuple(lines), zone="+0200", certbot_next=1772388000.0)
    renewal = renewal_of(facts)
    assert renewal is not None
    assert renewal.outcome == outcome
    if message.startswith("nginx"):
        assert "nginx" in renewal.message
    else:
        assert renewal.message == message
    if lines:
        assert renewal.tried_at is not None
        assert renewal.tried_at.hour == 8
    assert renewal.next_at is not None


def test_renewals_are_empty_without_certbot() -> None:
    assert renewal_of(replace(_facts(), files={})) is None


def test_a_wrong_clock_is_a_problem() -> None:
    facts = replace(_facts(), clock_skew=-7200.0, systemd=True, tools=frozenset(
        {"apt-get", "dpkg-query", "systemctl", "systemd-run", "flock", "ss"}
    ))  # fmt: skip
    problems = list(find_problems(_wanted(), facts))
    assert [problem.code for problem in problems] == ["clock_off"]
    assert "120 minutes behind" in problems[0].message


def test_exceeding_lets_encrypts_weekly_limit_is_reported() -> None:
    peers = tuple((f"203.0.113.{number}", f"2001:db8::{number}") for number in range(1, 6))
    bare = replace(_facts(), files={})
    notes = list(find_notes(_wanted(peers), bare))
    assert any("5 certificates a week" in note.text and "6 servers" in note.text for note in notes)
    own = _wanted(peers, directory="https://ca.example.com/d")
    assert not any(note.code == "certificate_limit" for note in find_notes(own, bare))
    assert not any(
        note.code == "certificate_limit" for note in find_notes(_wanted(peers), _facts())
    )


def test_peers_are_asked_at_all_addresses_of_the_servers_families() -> None:
    def asked(*, ipv6: bool) -> list[str]:
        peers = (("203.0.113.1", "2001:db8::1"), ("2001:db8::2",))
        wanted = _wanted(peers, ipv6=ipv6)
        [file] = [each for each in wanted.files if each.path == layout.NGINX_HTTP]
        return re.findall(r"^    server (\S+) max_fails", file.content.decode(), re.MULTILINE)

    assert asked(ipv6=True) == ["203.0.113.1:80", "[2001:db8::1]:80", "[2001:db8::2]:80"]
    assert asked(ipv6=False) == ["203.0.113.1:80"]


@pytest.mark.parametrize(
    ("address", "is_theirs_too"),
    [("192.0.2.1", True), ("10.0.0.1", True), ("2001:db8::1", True), ("fd00::1", True),
     ("127.0.1.1", False), ("::1", False), ("fe80::1", False), ("169.254.1.1", False)],
)  # fmt: skip
def test_addresses_that_are_local_to_a_server_are_not_asked(
    address: str, is_theirs_too: bool
) -> None:
    assert is_usable_remotely(address) is is_theirs_too


@pytest.mark.parametrize("secret", ["a b", "a#b", 'a"b', "a'b", "a%b", "a,b"])
def test_a_secret_certbots_files_cannot_represent_is_rejected(secret: str) -> None:
    with pytest.raises(AnswersError, match="certbot cannot read"):
        check_for_certbot("ssl.acme.dns.credentials.secret", Secret(secret))
    check_for_certbot("ssl.acme.dns.credentials.secret", Secret("aB3+/=-_.~$&!"))
    check_for_certbot("storage.s3.secretkey", Secret(secret))
