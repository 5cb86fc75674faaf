"""The warning before a certificate is replaced with one of another authority."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import Moorage, write_answers
from certificate_maker import Authority
from fake_server import FakeServers

from moorage.answers.secrets import Secret
from moorage.deploy.certificates.certificate import Replacement
from moorage.deploy.operations import Operations
from moorage.deploy.plan.consequences import Code, Consequence
from moorage.deploy.plan.plan import Plan
from moorage.desired.state import Materials

WARNING = Consequence(
    Code.CERTIFICATE_AUTHORITY,
    "The certificate will be issued by Two instead of One: clients have to trust it.",
    is_destructive=True,
    note="Clients that trust only One fail",
)


@pytest.fixture
def own_files(home: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Answers with a certificate from files, whose authority the servers do not have yet."""
    authority = Authority("Two")
    leaf, key = authority.issue("registry.example.test")
    (home / "chain.pem").write_bytes(leaf + authority.pem)
    (home / "key.pem").write_bytes(key)
    file = write_answers(home / "moorage.yml", ["one.example.test"])
    files = "{certificate: chain.pem, key: key.pem}"
    file.write_text(f"{file.read_text()}ssl: {{mode: files, files: {files}}}\n")
    plan = Plan((), Materials(Secret("http"), Secret("auth")), consequences=(WARNING,))
    monkeypatch.setattr(Operations, "plan_replacement", lambda _: plan)
    done = Replacement(None, (), "ab12")
    monkeypatch.setattr(Operations, "replace_certificate", lambda _: done)
    return file


def test_a_certificate_from_another_authority_is_a_warning(
    moorage: Moorage, own_files: Path
) -> None:
    outcome = moorage("certificate", "replace", str(own_files), "--yes")

    assert outcome.code == 0
    warning = f"! {WARNING.text} Clients that trust only One fail."
    assert warning in outcome.stderr

    outcome = moorage("certificate", "replace", str(own_files), "--yes", "--json")

    assert outcome.code == 0
    (consequence,) = json.loads(outcome.stdout)["consequences"]
    assert consequence["code"] == "certificate_authority"
    assert consequence["severity"] == "destructive"
    assert warning in outcome.stderr
