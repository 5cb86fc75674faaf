"""What a plan shows of files with secrets, whatever they and the server's own versions hold."""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.plan.plan import Change, Kind
from moorage.deploy.plan.planning import plan_server
from moorage.desired import layout
from moorage.desired.build import desired
from moorage.desired.state import Materials, Platform
from moorage.desired.users import RegistryUser
from moorage.servers.facts import Disk, Facts, ManagedFile

ANSWERS = Answers.model_validate(
    {
        "registry": {
            "domain": "registry.example.com",
            "environment": {"REGISTRY_REDIS_PASSWORD": {"env": "REDIS"}},
        },
        "servers": [{"host": "one"}],
        "credentials": {"users": [{"name": "ana@example.com", "password": {"generate": True}}]},
        "ssl": {
            "mode": "acme",
            "acme": {
                "email": "ops@example.com",
                "challenge": "dns-01",
                "dns": {"provider": "cloudflare", "credentials": {"api_token": {"env": "TOKEN"}}},
                "external_account": {"kid": "kid-1", "hmac": {"env": "HMAC"}},
            },
        },
    }
)
ENDPOINTS = "REGISTRY_NOTIFICATIONS_ENDPOINTS"
NAMES = ("ana@example.com", "ci.bot+1", "robot_2", "j")
# Capitals and digits alone are not in here: they could spell the names that a diff shows.
LETTERS = string.ascii_letters + string.digits + "+/"


def pem(body: str, label: str = "PRIVATE KEY", end: str = "\n") -> str:
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return end.join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))


def materials(secret: str, key: bytes, hashes: list[str]) -> Materials:
    return Materials(
        http_secret=Secret(secret[:20]),
        auth_key=Secret(secret[20:40]),
        secrets={
            "registry.environment.REGISTRY_REDIS_PASSWORD": Secret(secret[40:]),
            "ssl.acme.dns.credentials.api_token": Secret(secret[5:25]),
            "ssl.acme.external_account.hmac": Secret(secret[25:45]),
        },
        users=tuple(RegistryUser(name, value) for name, value in zip(NAMES, hashes, strict=False)),
        certificate=b"CERTIFICATE\n",
        certificate_key=Secret(pem(base64.b64encode(key).decode())),
    )


def hostile(body: str, name: str) -> Iterator[str]:
    """What an administrator, an editor or somebody worse may have left in a file."""
    yield pem(body)
    yield pem(body, "EC PRIVATE KEY", "\r\n")
    yield f"# {body}\n#REGISTRY_HTTP_SECRET={body}\n;{body}\n"
    yield f"REGISTRY_HTTP_SECRET={body}\\\n{body}=\n  {body}==\n{body}"
    yield f"export PASSWORD='{body}\n{body}'\r\n{body}: {body}\n{body} = {body}\n"
    yield f"{name}:{body}\n{body}:{name}\n{name}:$apr1${body}\n{name}:{{PLAIN}}{body}\n:{body}\n"
    yield f"{ENDPOINTS}='\n{pem(body)}'\nREGISTRY_HTTP_SECRET=\x00{body}\x1b[0m"
    yield f"REGISTRY_REDIS_PASSWORD={body * 400}\n{body * 400}"
    yield f"\x0b{body}\x1c{body}\x85{body}\u2028{body}\x0c{body}"
    yield f"-----BEGIN {body}-----\n{body}\n-----END {body}-----\n"
    yield f'default {body};\nservice_account = {{\n  "private_key": "{body}"\n}}\n'


def facts_with(content: str, digest_of: str = "") -> Facts:
    """A server on which every file is hostile."""
    extra = f"{layout.ACME_ETC}/old.ini", f"{layout.TLS_ETC}/key.pem.bak", f"{layout.HOOKS_ETC}/x"
    standard = desired(ANSWERS, materials("x" * 60, b"x", []), Platform(), "blue")
    paths = {file.path for file in standard.files if file.secret} | {
        layout.TLS_KEY, layout.HTPASSWD_DISABLED, *extra,
    }  # fmt: skip
    return Facts(
        "one",
        os={"ID": "debian", "VERSION_ID": "12"},
        systemd=True,
        disks=(Disk("/", 10**11, 10**11),),
        files={
            path: ManagedFile(path, content.encode("utf-8", "replace"), 0o600, "root", "root")
            for path in paths
        },
    )


def shown(changes: tuple[Change, ...]) -> str:
    return "\n".join(
        text
        for each in changes
        if each.kind is Kind.FILE
        for text in (each.diff, each.before or "")
    )


def pieces(secret: str) -> set[str]:
    return {secret[at : at + 4] for at in range(len(secret) - 3)}


@run_with(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
@given(
    st.text(LETTERS, min_size=60, max_size=60),
    st.binary(min_size=40, max_size=120),
    st.lists(st.text(LETTERS, min_size=31, max_size=53), min_size=2, max_size=4),
    st.text(LETTERS, min_size=30, max_size=130),
    st.integers(0, 2),
)
def test_no_part_of_a_secret_is_shown(
    secret: str, key: bytes, bodies: list[str], there: str, padding: int
) -> None:
    hashes = [f"$2y$12${body}" for body in bodies]
    ours = materials(secret, key, hashes)
    hidden = {
        piece
        for text in (secret, base64.b64encode(key).decode(), *bodies, there)
        for piece in pieces(text)
    }
    # What a plan of other secrets shows as well is no part of these.
    nothing = plan_server(ANSWERS, materials("~" * 60, b"", []), facts_with("~"))
    files = [change for change in nothing.changes if change.kind is Kind.FILE]
    words = shown(tuple(files)) + " ".join(NAMES) + f"PRIVATE KEY EC {ENDPOINTS}"
    for content in hostile(there + "=" * padding, "ana@example.com"):
        plan = plan_server(ANSWERS, ours, facts_with(content))
        text = shown(plan.changes)
        assert not {piece for piece in hidden if piece in text and piece not in words}


def test_the_end_of_a_private_key_is_masked() -> None:
    # One in three keys ends like this, and the last line's name would be what is before the "=".
    body = base64.b64encode(secrets.token_bytes(49)).decode()
    assert body.endswith("==")
    answers = ANSWERS.model_copy(update={"ssl": ANSWERS.ssl.model_copy(update={"mode": "files"})})
    made = replace(materials("x" * 60, b"", []), certificate_key=Secret(pem(body)))
    plan = plan_server(answers, made, Facts("one"))
    [change] = [each for each in plan.changes if each.subject == layout.TLS_KEY]
    assert (
        change.after
        == "-----BEGIN PRIVATE KEY-----\n******** (after apply)\n-----END PRIVATE KEY-----\n"
    )


def test_names_are_shown_and_unchanged_values_are_marked() -> None:
    ours = materials("s" * 60, b"", ["$2y$12$aaaa", "$2y$12$bbbb", "$apr1$cccc$d", "$6$e$f"])
    before = "ana@example.com:$2y$12$aaaa\nDOMAIN\\bob:$apr1$xx$yy\n_ci:{SHA}zzzz\n"
    plan = plan_server(ANSWERS, ours, facts_with(before))
    [change] = [each for each in plan.changes if each.subject == layout.HTPASSWD]
    assert change.before == (
        "ana@example.com:******** (unchanged)\nDOMAIN\\bob:******** (on the server)\n"
        "_ci:******** (on the server)\n"
    )
    assert change.after == (
        "ana@example.com:******** (unchanged)\nci.bot+1:******** (after apply)\n"
        "j:******** (after apply)\n"
        "robot_2:******** (after apply)\n"
    )
    by_path = {each.subject: each.after or "" for each in plan.changes}
    assert by_path[layout.DNS_CREDENTIALS].endswith(
        "dns_cloudflare_api_token = ******** (after apply)\n"
    )
    assert "REGISTRY_REDIS_PASSWORD=******** (after apply)\n" in by_path[layout.REGISTRY_ENV]
    assert "eab-hmac-key = ******** (after apply)\n" in by_path[layout.CERTBOT_CONFIG]
    assert by_path[layout.REGISTRY_ENV].startswith("# Written by Moorage. The registry's secrets")


def test_a_changed_mode_of_a_secret_file_is_shown() -> None:
    ours = materials("s" * 60, b"", ["$2y$12$aaaa"])
    [file] = [
        each
        for each in desired(ANSWERS, ours, Platform(), "blue").files
        if each.path == layout.HTPASSWD
    ]
    facts = facts_with("")
    open_to_all = ManagedFile(file.path, file.content, 0o644, "root", "root")
    plan = plan_server(ANSWERS, ours, replace(facts, files={**facts.files, file.path: open_to_all}))
    [change] = [each for each in plan.changes if each.subject == layout.HTPASSWD]
    assert "-root:root 0644" in change.diff
    assert "+root:www-data 0640" in change.diff


def test_a_key_in_an_unexpected_file_is_masked() -> None:
    ours = materials("s" * 60, b"", ["$2y$12$aaaa"])
    facts = facts_with("")
    text = f"log:\n  level: info\n# {pem('abcdefgh')}storage: x\n"
    config = ManagedFile(layout.config_path("blue"), text.encode(), 0o644, "root", "root")
    plan = plan_server(ANSWERS, ours, replace(facts, files={**facts.files, config.path: config}))
    [change] = [each for each in plan.changes if each.subject == config.path]
    assert "abcdefgh" not in change.diff
    assert "-storage: x" in change.diff


@pytest.mark.parametrize("mode", ["acme", "files"])
def test_every_private_file_has_a_masking_format(mode: str) -> None:
    answers = ANSWERS.model_copy(update={"ssl": ANSWERS.ssl.model_copy(update={"mode": mode})})
    users = (RegistryUser("a", "h", disabled=True), RegistryUser("b", "h"))
    made = replace(materials("s" * 60, b"", []), users=users, hooks={"one": b"#!/bin/sh\n"})
    for file in desired(answers, made, Platform(), "blue").files:
        # What the access map and hooks say is to be read before it counts.
        is_for_review = file.path.startswith((layout.HOOKS_ETC, layout.ACCESS_MAP))
        assert bool(file.mode & 0o004) == (file.secret is None) or is_for_review, file.path
