"""The authority that issued a deployment's certificate, for clients to trust."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from moorage.answers.model import Answers
from moorage.deploy.certificates import ca
from moorage.desired import layout
from moorage.desired.certificates import read_chain
from moorage.errors import MoorageError, ServersFailed
from moorage.local_file import LocalFileError, read_file
from moorage.servers.facts import Facts
from moorage.state import private_folder, write_private


def authority_of(answers: Answers) -> bytes | None:
    """Return the CA certificate that clients have to trust besides the public ones, or None.

    With ``ssl.mode: private_ca`` that is the CA kept on this machine; with ``files`` the last
    certificate in the file, if it is self-signed.

    Args:
        answers: What the operator decided.

    Returns:
        PEM of one certificate.

    Raises:
        MoorageError: The private CA exists but cannot be read.
    """
    if answers.ssl.mode == "private_ca":
        authority = ca.load(answers.ssl.private_ca.name, answers.registry.domain)
        return authority.certificate_pem if authority else None
    if answers.ssl.mode == "files" and answers.ssl.files is not None:
        try:
            content = read_file(answers.ssl.files.certificate)
        except LocalFileError:
            return None
        return _root_of(content)
    return None


def authority_for(
    answers: Answers, probe_each: Callable[[], Sequence[Facts | MoorageError]]
) -> bytes | None:
    """Return :func:`authority_of`, reading the servers when the CA is not on this machine.

    They are also read for the CA of an ACME directory that clients do not trust by default.

    Args:
        answers: What the operator decided.
        probe_each: Reads the servers; called only when necessary.

    Raises:
        ServersFailed: The private CA is not on this machine, and no server can be read.
    """
    authority, ssl = authority_of(answers), answers.ssl
    is_unknown = ssl.mode == "private_ca" or (ssl.mode == "acme" and not ssl.acme.is_public)
    if authority is not None or not is_unknown:
        return authority
    read = probe_each()
    facts = [each for each in read if isinstance(each, Facts)]
    errors = [each for each in read if isinstance(each, MoorageError)]
    if errors and not facts:
        raise ServersFailed(errors)
    return authority_on(facts)


def authority_on(facts: Sequence[Facts]) -> bytes | None:
    """Return the last CA certificate of each server's chain: a root, or with ACME an intermediate.

    SSH authenticates the servers, so this finds the private CA when another machine has it, and the
    CA of an ACME directory that clients do not trust by default.

    Args:
        facts: What the probe read.

    Returns:
        PEM of the certificates, or None.
    """
    tops: dict[bytes, None] = {}
    for each in facts:
        if layout.TLS_CERTIFICATE not in each.files:
            continue
        try:
            chain = read_chain(each.files[layout.TLS_CERTIFICATE].content)
        except ValueError:
            continue
        if len(chain) > 1 or chain[0].issuer == chain[0].subject:
            tops[chain[-1].public_bytes(Encoding.PEM)] = None
    return b"".join(tops) or None


def ca_file(answers: Answers, certificate: bytes | None) -> Path | None:
    """Return the file on this machine with the private CA's certificate, or None.

    Where another machine has the CA, it is a copy, written here.

    Args:
        answers: The operator's answers.
        certificate: Its certificate as found on the servers, if known.
    """
    domain = answers.registry.domain
    if answers.ssl.mode != "private_ca":
        return None
    own = ca.folder_of(answers.ssl.private_ca.name, domain) / "ca.pem"
    if own.is_file():
        return own
    if certificate is None:
        return None
    copy = private_folder("ca-certificates") / f"{domain}.pem"
    write_private(copy, certificate)
    return copy


def _root_of(content: bytes) -> bytes | None:
    try:
        last: x509.Certificate = read_chain(content)[-1]
    except ValueError:
        return None
    return last.public_bytes(Encoding.PEM) if last.issuer == last.subject else None
