"""Descriptions of certificates: those in files, and those an apply will create."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from moorage.deploy.certificates import ca
from moorage.deploy.certificates.certificate import Replacement
from moorage.desired.certificates import describe, find_faults
from moorage.dns.public_name import public_addresses_of
from moorage.errors import Problem
from moorage.local_file import LocalFileError, read_file

_FILES = ("ssl", "files")
_CA_FILE = ("ssl", "acme", "ca_file")


class Described(NamedTuple):
    """A description of certificates.

    Attributes:
        text: The description, with the faults in it.
        is_good: Whether all is well.
        faults: What is wrong with the files.
    """

    text: str
    is_good: bool = True
    faults: tuple[Problem, ...] = ()


def describe_authority(name: str, domain: str) -> Described:
    """Return a description of the registry's private CA."""
    authority = ca.load(name, domain)
    if authority is None:
        return Described(
            "The first apply creates a CA and keeps it here.\n"
            f"Limited to {domain} and names below it."
        )
    facts = describe(authority.certificate_pem)
    folder = ca.folder_of(name, domain)
    locked = "encrypted" if authority.is_encrypted else "not encrypted"
    return Described(f"✓ CA with {facts.days_left} days left, key {locked}, in {folder}")


def describe_trust(domain: str, addresses: Iterable[str]) -> str:
    """Return what a private CA asks of clients, or that the name could have a public certificate.

    Args:
        domain: The registry's name.
        addresses: The address or host name of each server.
    """
    public = public_addresses_of(domain, addresses)
    if not public:
        return "Every client must trust this CA: 'moorage clients' prints the lines to paste."
    return (
        f"{domain} resolves to {public[0]}, a public address of the server. With ACME, clients "
        "trust the certificate without setup: Let's Encrypt needs port 80 open to the internet "
        "(or a DNS challenge), and lists the name in public logs."
    )


def describe_acme(domain: str, by_dns: bool, is_staging: bool, ca_file: str) -> Described:
    """Return how the CA validates the name, and a description of the CA file.

    Args:
        domain: The registry's name.
        by_dns: Whether it looks up a record instead of connecting to port 80.
        is_staging: Whether it is Let's Encrypt's staging environment.
        ca_file: The path of the directory's CA; empty when there is none.
    """
    lines = [
        f"The CA looks up the record _acme-challenge.{domain}."
        if by_dns
        else f"The CA requests http://{domain} on port 80, from any of the servers."
    ]
    if is_staging:
        lines.append("Staging: clients do not trust these certificates. Turn it off once it works.")
    if ca_file:
        try:
            facts = describe(read_file(ca_file))
        except LocalFileError as error:
            return _unreadable(error, _CA_FILE)
        except ValueError:
            sentence = "The CA file contains no PEM certificate (-----BEGIN CERTIFICATE-----)."
            return _faulty([], Problem(_CA_FILE, sentence, code="unreadable"))
        lines.append(f"CA file: {facts.subject}, {facts.days_left} days left")
    return Described("\n".join(lines))


def read_files(certificate: str, key: str, domain: str) -> Described:
    """Read a certificate and its key, and describe them.

    Args:
        certificate: Path of the certificate with its chain.
        key: Path of the key; empty if not entered yet.
        domain: The registry's name; empty if there is no valid one yet.
    """
    try:
        pem = read_file(certificate)
    except LocalFileError as error:
        return _unreadable(error, (*_FILES, "certificate"))
    try:
        key_pem = read_file(key) if key else None
    except LocalFileError as error:
        return _unreadable(error, (*_FILES, "key"))
    faults = [
        Problem(_FILES, sentence, code=code)
        for code, sentence in find_faults(pem, key_pem, domain)
        if domain or code != "wrong_name"
    ]
    lines = []
    with suppress(ValueError):
        lines = [f"{row.label:<7} {row.text}" for row in describe(pem).rows]
    if faults:
        return _faulty(lines, *faults)
    matches = [word for word, is_known in (("the name", domain), ("the key", key)) if is_known]
    if matches:
        lines.append(f"✓ The certificate matches {' and '.join(matches)}")
    return Described("\n".join(lines))


def _unreadable(error: LocalFileError, path: tuple[str, ...]) -> Described:
    return Described(f"✗ {error}", False, (error.problem(path),))


def _faulty(lines: list[str], *faults: Problem) -> Described:
    text = "\n".join([*lines, *(f"✗ {fault.message}" for fault in faults)])
    return Described(text, False, faults)


def describe_replacement(done: Replacement) -> Described:
    """Return the certificate each server shows after a replacement."""
    lines = [
        f"✗ {each.server}: {each.message or each.status}"
        for each in (done.report.servers if done.report else ())
        if not each.is_good
    ]
    lines += [f"{row.sign} {row.label} {row.text}" for row in done.rows]
    return Described("\n".join(lines), done.is_good)
