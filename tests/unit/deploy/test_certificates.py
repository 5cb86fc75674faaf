"""Certificates are read back, and what clients would not trust is said in plain words."""

from __future__ import annotations

import datetime

import pytest
from certificate_maker import Authority

from moorage.answers.secrets import Secret
from moorage.deploy import private_ca
from moorage.desired.certificates import describe, find_faults
from moorage.errors import MoorageError

NAME = "registry.example.com"


def _codes(certificate: bytes, key: bytes, domain: str = NAME) -> list[str]:
    return [code for code, _sentence in find_faults(certificate, key, domain)]


def test_a_full_chain_in_order_has_no_faults() -> None:
    root = Authority("Root")
    middle = root.sub_authority("Middle")
    leaf, key = middle.issue(NAME)
    assert _codes(leaf + middle.pem, key) == []
    assert _codes(leaf + middle.pem + root.pem, key) == []


@pytest.mark.parametrize(
    ("names", "domain", "faults"),
    [
        (["*.example.com"], "registry.example.com", []),
        (["*.example.com"], "a.registry.example.com", ["wrong_name"]),
        (["*.example.com"], "example.com", ["wrong_name"]),
        (["other.example.com", NAME], NAME, []),
        (["REGISTRY.example.com"], NAME, []),
        (["other.example.com"], NAME, ["wrong_name"]),
    ],
)
def test_the_name_must_be_covered(names: list[str], domain: str, faults: list[str]) -> None:
    root = Authority("Root")
    leaf, key = root.issue(*names)
    assert _codes(leaf + root.pem, key, domain) == faults


def test_every_fault_has_its_sentence() -> None:
    root, stranger = Authority("Root"), Authority("Stranger")
    middle = root.sub_authority("Middle")
    leaf, key = middle.issue(NAME)
    other_leaf, other_key = root.issue(NAME)
    now = datetime.datetime.now(datetime.UTC)
    old, old_key = root.issue(NAME, until=now - datetime.timedelta(days=1))
    early, early_key = root.issue(NAME, since=now + datetime.timedelta(days=2))

    assert _codes(leaf, key) == ["no_chain"]
    assert _codes(leaf + middle.pem, other_key) == ["key_mismatch"]
    assert "wrong_order" in _codes(middle.pem + leaf, key)
    assert _codes(leaf + stranger.pem, key) == ["broken_chain"]
    assert _codes(old + root.pem, old_key) == ["expired"]
    assert _codes(early + root.pem, early_key) == ["not_yet"]
    assert _codes(b"hello", key) == ["unreadable"]
    assert _codes(other_leaf + root.pem, b"hello") == ["key_unreadable"]
    assert _codes(other_leaf + root.pem, root.encrypted_key()) == ["key_encrypted"]


def test_a_certificate_is_described_for_people() -> None:
    root = Authority("Root")
    leaf, _key = root.issue(NAME, "10.0.0.1")
    facts = describe(leaf + root.pem)
    assert facts.names == (NAME, "10.0.0.1")
    assert (facts.issuer, facts.chain) == ("Root", (NAME, "Root"))
    assert 88 <= facts.days_left <= 90


def test_the_private_ca_is_made_once_and_issues_what_clients_accept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("MOORAGE_STATE", str(tmp_path))
    assert private_ca.load("My CA") is None
    authority = private_ca.create("My CA")
    private_ca.keep("My CA", authority)
    issued = authority.issue(NAME)
    assert isinstance(issued.key, Secret)
    assert _codes(issued.certificate, issued.key.reveal().encode()) == []
    again = private_ca.load("My CA")
    assert again is not None
    assert again.certificate_pem == authority.certificate_pem
    with pytest.raises(MoorageError, match="plan again"):
        private_ca.keep("My CA", private_ca.create("My CA"))
    assert private_ca.is_usable(issued.certificate, NAME, again)
    assert not private_ca.is_usable(issued.certificate, "other.example.com", again)
    folder = private_ca.folder_of("My CA")
    assert (folder / "ca.key").stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0
