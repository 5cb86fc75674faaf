"""Read certificates and find their problems."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from moorage.network import is_address
from moorage.rows import Row


@dataclass(frozen=True)
class CertificateFacts:
    """A certificate for people.

    Attributes:
        names: The DNS names and addresses it is for.
        subject: Its common name, or its whole subject.
        issuer: The issuer's name.
        not_after: When it expires, in UTC.
        days_left: Whole days until then; negative if it has expired.
        chain: The subjects of the file's certificates, in order.
    """

    names: tuple[str, ...]
    subject: str
    issuer: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    days_left: int
    chain: tuple[str, ...]

    @property
    def rows(self) -> list[Row]:
        """The certificate as rows."""
        valid = (
            f"from {self.not_before:%Y-%m-%d} until {self.not_after:%Y-%m-%d}, "
            f"{self.days_left} days left"
        )
        return [
            Row("names", "Names", ", ".join(self.names) or "none"),
            Row("issuer", "Issuer", self.issuer),
            Row("valid", "Valid", valid),
            Row("chain", "Chain", " < ".join(self.chain)),
        ]


def read_chain(pem: bytes) -> list[x509.Certificate]:
    """Return the certificates in a PEM file, in order.

    Raises:
        ValueError: There are none, or one of them cannot be read.
    """
    try:
        chain = x509.load_pem_x509_certificates(pem)
        # The rest is parsed lazily, where errors are not expected: do it now.
        chain[0].public_key()
        for each in chain:
            _names(each)
            _ = each.subject, each.issuer, each.not_valid_before_utc, each.not_valid_after_utc
    except (
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise ValueError(str(error)) from error
    return chain


def describe(pem: bytes, now: datetime.datetime | None = None) -> CertificateFacts:
    """Describe the first certificate of a PEM file; raises ValueError when it cannot be read."""
    chain = read_chain(pem)
    leaf = chain[0]
    now = now or datetime.datetime.now(datetime.UTC)
    return CertificateFacts(
        names=tuple(_names(leaf)),
        subject=_title(leaf.subject),
        issuer=_title(leaf.issuer),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        days_left=(leaf.not_valid_after_utc - now).days,
        chain=tuple(_title(certificate.subject) for certificate in chain),
    )


def find_faults(
    certificate: bytes, key: bytes | None, domain: str, now: datetime.datetime | None = None
) -> Iterator[tuple[str, str]]:
    """Yield what would keep clients from trusting a certificate, as (code, sentence).

    Args:
        certificate: PEM, the certificate and then its chain.
        key: PEM, the private key; None if there is none yet.
        domain: The name clients connect to.
        now: The time to check dates against.
    """
    try:
        chain = read_chain(certificate)
    except ValueError:
        yield (
            "unreadable",
            "The certificate file has no readable PEM certificate (-----BEGIN CERTIFICATE-----).",
        )
        return
    leaf = chain[0]
    now = now or datetime.datetime.now(datetime.UTC)
    if key is not None:
        yield from _key_faults(leaf, chain, key)
    if leaf.not_valid_after_utc <= now:
        yield "expired", f"The certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}."
    if leaf.not_valid_before_utc > now:
        yield (
            "not_yet",
            f"The certificate is valid only from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC.",
        )
    names = _names(leaf)
    if not any(_covers(name, domain) for name in names):
        listed = ", ".join(names) or "none"
        yield "wrong_name", f"The certificate is not valid for {domain}; its names: {listed}."
    yield from _chain_faults(chain)


def _key_faults(
    leaf: x509.Certificate, chain: list[x509.Certificate], key: bytes
) -> Iterator[tuple[str, str]]:
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except TypeError:
        yield (
            "key_encrypted",
            "The key has a passphrase; nginx needs one without (openssl pkey -in KEY -out NEW).",
        )
        return
    except (ValueError, UnsupportedAlgorithm):
        yield "key_unreadable", "The key file has no PEM private key."
        return

    def public(of: object) -> bytes:
        return of.public_bytes(  # type: ignore[attr-defined,no-any-return]  # every key type has it
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    expected = public(private.public_key())
    if public(leaf.public_key()) == expected:
        return
    if any(public(certificate.public_key()) == expected for certificate in chain[1:]):
        yield (
            "wrong_order",
            "The key belongs to a later certificate in the file; the server's own must come first.",
        )
    else:
        yield "key_mismatch", "The key does not belong to the certificate."


def _chain_faults(chain: list[x509.Certificate]) -> Iterator[tuple[str, str]]:
    for position, (lower, upper) in enumerate(itertools.pairwise(chain), start=1):
        try:
            lower.verify_directly_issued_by(upper)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            yield (
                "broken_chain",
                f"Certificate {position + 1} of the file ({_title(upper.subject)}) did not sign "
                f"certificate {position} ({_title(lower.subject)}); "
                "expected the server's certificate, followed by each one's issuer.",
            )
            return
    last = chain[-1]
    if len(chain) == 1 and last.issuer != last.subject:
        yield (
            "no_chain",
            f"The certificate was signed by {_title(last.issuer)}, which is not in the file; "
            "use the full chain (fullchain.pem).",
        )


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    ]


def _covers(name: str, domain: str) -> bool:
    name, domain = name.lower().rstrip("."), domain.lower().rstrip(".")
    if name == domain:
        return True
    if name.startswith("*."):
        _, dot, rest = domain.partition(".")
        return bool(dot) and rest == name[2:] and not is_address(domain)
    return False


def _title(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()
