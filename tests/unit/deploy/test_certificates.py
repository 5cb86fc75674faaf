"""Certificates are read back, and what clients would not trust is said in plain words."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from certificate_maker import Authority
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from moorage.answers.load import loads
from moorage.answers.secrets import Secret
from moorage.deploy.certificates import ca
from moorage.deploy.certificates.certificate import with_files
from moorage.desired.certificates import describe, find_faults
from moorage.errors import ExitCode, MoorageError

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


def _damaged(leaf: bytes, old: bytes, new: bytes) -> bytes:
    der = x509.load_pem_x509_certificate(leaf).public_bytes(Encoding.DER)
    assert old in der
    return ssl.DER_cert_to_PEM_cert(der.replace(old, new, 1)).encode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"),  # the version
        (NAME.encode(), b"\xff" * len(NAME)),
        (b"\x82\x14" + NAME.encode(), b"\x83\x14" + NAME.encode()),  # what kind of name it is
    ],
)
def test_a_certificate_that_is_damaged_inside_is_unreadable(old: bytes, new: bytes) -> None:
    leaf, key = Authority("Root").issue(NAME)
    damaged = _damaged(leaf, old, new)
    assert _codes(damaged, key) == ["unreadable"]
    with pytest.raises(ValueError, match=r"."):
        describe(damaged)


def test_every_fault_has_a_message() -> None:
    root, stranger = Authority("Root"), Authority("Stranger")
    middle = root.sub_authority("Middle")
    leaf, key = middle.issue(NAME)
    other_leaf, other_key = root.issue(NAME)
    now = datetime.datetime.now(datetime.UTC)
    old, old_key = root.issue(NAME, until=now - datetime.timedelta(days=1))
    early, early_key = root.issue(NAME, since=now + datetime.timedelta(days=2))

    assert _codes(leaf, key) == ["no_chain"]
    ((_, alone),) = find_faults(leaf, key, NAME)
    assert "append the root: Moorage gives clients the CA from this file" in alone
    assert _codes(leaf + middle.pem, other_key) == ["key_mismatch"]
    assert "wrong_order" in _codes(middle.pem + leaf, key)
    assert _codes(leaf + stranger.pem, key) == ["broken_chain"]
    assert _codes(old + root.pem, old_key) == ["expired"]
    assert _codes(early + root.pem, early_key) == ["not_yet"]
    assert _codes(b"hello", key) == ["unreadable"]
    assert _codes(other_leaf + root.pem, b"hello") == ["key_unreadable"]
    assert _codes(other_leaf + root.pem, root.encrypted_key()) == ["key_encrypted"]


def test_a_certificate_has_a_readable_description() -> None:
    root = Authority("Root")
    leaf, _key = root.issue(NAME, "10.0.0.1")
    facts = describe(leaf + root.pem)
    assert facts.names == (NAME, "10.0.0.1")
    assert (facts.issuer, facts.chain) == ("Root", (NAME, "Root"))
    assert 88 <= facts.days_left <= 90


def test_the_private_ca_is_created_once_and_issues_valid_certificates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("MOORAGE_STATE", str(tmp_path))
    assert ca.load("My CA", NAME) is None
    authority = ca.create("My CA", NAME)
    ca.keep("My CA", NAME, authority)
    issued = authority.issue(NAME)
    assert isinstance(issued.key, Secret)
    assert _codes(issued.certificate, issued.key.reveal().encode()) == []
    again = ca.load("My CA", NAME)
    assert again is not None
    assert again.certificate_pem == authority.certificate_pem
    with pytest.raises(MoorageError, match="plan again"):
        ca.keep("My CA", NAME, ca.create("My CA", NAME))
    assert ca.is_usable(issued.certificate, NAME, "My CA", again)
    assert not ca.is_usable(issued.certificate, "other.example.com", "My CA", again)
    folder = ca.folder_of("My CA", NAME)
    assert (folder / "ca.key").stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


def test_a_foreign_certificate_is_not_mistaken_for_the_private_cas() -> None:
    authority = ca.create("My CA", NAME)
    ours = authority.issue(NAME).certificate
    root = Authority("Public root")
    foreign = root.issue(NAME)[0] + root.pem
    assert ca.is_usable(ours, NAME, "My CA", None)
    assert not ca.is_usable(ours, NAME, "Another CA", None)
    assert not ca.is_usable(foreign, NAME, "My CA", None)
    assert not ca.is_usable(root.issue(NAME)[0], NAME, "My CA", None)


def test_the_private_ca_can_certify_the_registrys_name_only() -> None:
    authority = ca.create("My CA", NAME)
    constraints = authority.certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert constraints.value.permitted_subtrees == [x509.DNSName(NAME)]
    assert len(constraints.value.excluded_subtrees or []) == 2


def test_each_registry_has_its_own_private_ca(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOORAGE_STATE", str(tmp_path))
    ca.keep("My CA", NAME, ca.create("My CA", NAME))
    assert ca.load("My CA", "other.example.com") is None
    # One that was made when a name meant one authority goes on for all.
    ca.folder_of("My CA", NAME).rename(tmp_path / "ca" / "my-ca")
    assert ca.load("My CA", NAME) is not None
    assert ca.load("My CA", "other.example.com") is not None


def test_the_private_cas_key_can_be_encrypted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOORAGE_STATE", str(tmp_path))
    authority = ca.create("My CA", NAME)
    ca.keep("My CA", NAME, authority)
    ca.keep_encrypted("My CA", NAME, Secret("open sesame"))
    key = (ca.folder_of("My CA", NAME) / "ca.key").read_bytes()
    assert b"ENCRYPTED" in key
    locked = ca.load("My CA", NAME)
    assert locked is not None
    assert locked.certificate_pem == authority.certificate_pem
    assert ca.is_usable(
        locked.issue(NAME, Secret("open sesame")).certificate, NAME, "My CA", locked
    )
    with pytest.raises(MoorageError, match="passphrase does not open"):
        locked.issue(NAME, Secret("wrong"))
    with pytest.raises(MoorageError, match="encrypted") as missing:
        locked.issue(NAME)
    assert missing.value.fields == ("ssl.private_ca.passphrase",)


@pytest.mark.parametrize("is_the_answers", [True, False])
def test_a_certificate_to_replace_with_is_named_by_its_file(
    tmp_path: Path, is_the_answers: bool
) -> None:
    leaf, key = Authority("Root").issue("other.example.com")
    new, new_key = tmp_path / "new.pem", tmp_path / "new.key"
    new.write_bytes(leaf)
    new_key.write_bytes(key)
    named = new if is_the_answers else tmp_path / "old.pem"
    answers = loads(
        f"version: 1\nregistry: {{domain: {NAME}}}\nservers: [{{host: 203.0.113.10}}]\n"
        "credentials: {users: [{name: ana, password: {generate: true}}]}\n"
        f"ssl: {{mode: files, files: {{certificate: {named}, key: {new_key}}}}}\n"
    )
    with pytest.raises(MoorageError, match=rf"The certificate is not valid for {NAME}") as caught:
        with_files(answers, str(new), str(new_key))
    assert caught.value.exit_code == ExitCode.USAGE
    assert ("ssl.files" in caught.value.message) is is_the_answers
    assert (str(new) in caught.value.message) is not is_the_answers
