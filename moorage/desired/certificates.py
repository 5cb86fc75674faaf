"""Read certificates and find their problems."""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from moorage.network import is_address
from moorage.rows import Row

_SHORTEST_RSA = 2048
_CURVES = {"secp256r1", "secp384r1", "secp521r1"}
_KEY_KINDS = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)
_BROKEN_DIGESTS = {"md5", "sha1"}
_PRIVATE_KEY = re.compile(
    rb"^-----BEGIN (?P<kind>(?:[A-Z]+ )?PRIVATE KEY)-----.*?^-----END (?P=kind)-----",
    re.DOTALL | re.MULTILINE,
)
# OpenSSL reads a BEGIN or END only if it is alone on its line.
_MARKER = re.compile(rb"-----(?:BEGIN|END) [A-Z0-9 ]+-----")
_MARKER_LINE = re.compile(rb"^-----(?:BEGIN|END) [A-Z0-9 ]+-----[ \t\r]*$", re.MULTILINE)
_CONVERT = {
    "der": "is in DER; 'openssl x509 -inform der -in FILE -out NEW' converts it",
    "der_key": "is in DER; 'openssl pkey -inform der -in FILE -out NEW' converts it",
    "pfx": "is a PKCS #12 file (.pfx, .p12); 'openssl pkcs12 -in FILE -nokeys -out NEW' and "
    "'openssl pkcs12 -in FILE -nocerts -noenc -out NEW_KEY' convert it",
    "pkcs7": "is a PKCS #7 file (.p7b); 'openssl pkcs7 -print_certs -in FILE -out NEW' converts it "
    "(then put the server's certificate first, followed by each one's issuer)",
    "pkcs7_der": "is a PKCS #7 file (.p7b); 'openssl pkcs7 -inform der -print_certs -in FILE -out "
    "NEW' converts it (then put the server's certificate first, followed by each one's issuer)",
    "jks": "is a Java key store; 'keytool -importkeystore -srckeystore FILE -destkeystore NEW.p12 "
    "-deststoretype pkcs12' converts it to PKCS #12",
    "utf_16": "is in UTF-16; 'iconv -f UTF-16 -t UTF-8 FILE > NEW' converts it",
    "bom": "begins with a byte order mark, which nginx cannot read; 'tail -c +4 FILE > NEW' "
    "removes it",
    "joined": "has two PEM lines that are joined, so nginx cannot read it; this splits them: "
    r"""awk '{gsub(/----------/, "-----\n-----")} 1' FILE > NEW""",
    "indented": "has a BEGIN or END line that does not begin or end its line, so nginx cannot read "
    "it; 'sed \"s/^[[:space:]]*//\" FILE > NEW' removes blanks",
    "cut_off": "is cut off: a BEGIN line has no END line",
    "openssh": "is in OpenSSH's format; 'ssh-keygen -p -m PEM -f FILE' converts it in place",
    "trusted": "has a TRUSTED CERTIFICATE; 'openssl x509 -in FILE -out NEW' converts it",
    "request": "has a certificate request, not a certificate; the authority's answer to it is "
    "needed",
    "swapped": "has a private key, but no certificate; the two files may be swapped",
    "swapped_key": "has a certificate, but no private key; the two files may be swapped",
    "public": "has a public key, not a private key",
}
"""By code: what a file is instead of what nginx reads, and the line that converts it."""


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
    if fault := pem_fault(certificate, "certificate"):
        yield fault
        return
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
        listed = ", ".join(names) or "none (clients ignore the common name)"
        yield "wrong_name", f"The certificate is not valid for {domain}; its names: {listed}."
    if not _is_for_servers(leaf):
        yield (
            "wrong_purpose",
            "The certificate is not for TLS servers: its extended key usage does not allow that.",
        )
    yield from _strength_faults(chain)
    yield from _chain_faults(chain, now)


def pem_fault(content: bytes, what: Literal["certificate", "key"]) -> tuple[str, str] | None:
    """Return why nginx cannot read a file, and what converts it; None if it looks like PEM.

    Args:
        content: The file.
        what: What it should have.

    Returns:
        A code and a sentence.
    """
    code = _binary_format(content, what) or _text_format(content, what)
    return (code, f"The {what} file {_CONVERT[code]}.") if code else None


def _binary_format(content: bytes, what: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf_16"
    if content.startswith(b"\xfe\xed\xfe\xed"):
        return "jks"
    if not content.startswith(b"\x30") or b"-----BEGIN" in content:
        return ""
    # In ASN.1, PKCS #12 begins with the number 3, PKCS #7 with its object identifier.
    header = content[2 + (content[1] & 0x7F if content[1] & 0x80 else 0) :] if content[1:] else b""
    if header.startswith(b"\x02\x01\x03\x30"):
        return "pfx"
    if header.startswith(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"):
        return "pkcs7_der"
    return "der" if what == "certificate" else "der_key"


def _text_format(content: bytes, what: str) -> str:
    kinds = set(re.findall(rb"-----BEGIN ([A-Z0-9 ]+)-----", content))
    is_key = any(kind.endswith(b"PRIVATE KEY") for kind in kinds)
    is_certificate = bool(kinds & {b"CERTIFICATE", b"X509 CERTIFICATE"})
    if what == "certificate" and not is_certificate:
        found = [code for kind, code in _OTHER_BLOCKS.items() if kind in kinds]
        return found[0] if found else "swapped" if is_key else ""
    if what == "key" and not is_key:
        return "public" if b"PUBLIC KEY" in kinds else "swapped_key" if is_certificate else ""
    if what == "key" and kinds == {b"OPENSSH PRIVATE KEY"}:
        return "openssh"
    return _broken_lines(content, kinds)


def _broken_lines(content: bytes, kinds: set[bytes]) -> str:
    if content.startswith(b"\xef\xbb\xbf-----"):
        return "bom"
    if len(_MARKER.findall(content)) != len(_MARKER_LINE.findall(content)):
        return "joined" if b"----------" in content else "indented"
    is_whole = all(
        content.count(b"-----BEGIN " + kind) == content.count(b"-----END " + kind) for kind in kinds
    )
    return "" if is_whole else "cut_off"


_OTHER_BLOCKS = {
    b"TRUSTED CERTIFICATE": "trusted",
    b"CERTIFICATE REQUEST": "request",
    b"NEW CERTIFICATE REQUEST": "request",
    b"PKCS7": "pkcs7",
}


def _key_faults(
    leaf: x509.Certificate, chain: list[x509.Certificate], key: bytes
) -> Iterator[tuple[str, str]]:
    if fault := pem_fault(key, "key"):
        yield fault
        return
    block = _PRIVATE_KEY.search(key)
    try:
        private = serialization.load_pem_private_key(block[0] if block else key, password=None)
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


def _is_for_servers(leaf: x509.Certificate) -> bool:
    """Return whether the extended key usages, if there are any, allow TLS servers."""
    with suppress(x509.ExtensionNotFound):
        extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(
            extended
        ):
            return False
    return True


def _strength_faults(chain: list[x509.Certificate]) -> Iterator[tuple[str, str]]:
    """Yield what OpenSSL refuses at the security level of Debian and Ubuntu, and clients too."""
    for position, each in enumerate(chain, start=1):
        title = f"Certificate {position} of the file ({_title(each.subject)})"
        key = each.public_key()
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < _SHORTEST_RSA:
            yield (
                "weak_key",
                f"{title} has an RSA key of {key.key_size} bits; nginx needs at least "
                f"{_SHORTEST_RSA}.",
            )
        elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
            yield (
                "weak_key",
                f"{title} has a key on the curve {key.curve.name}, which clients do not support; "
                "use P-256 or P-384.",
            )
        elif not isinstance(key, _KEY_KINDS):
            yield (
                "weak_key",
                f"{title} has a key that clients do not support; use ECDSA or RSA.",
            )
        if _has_broken_signature(each) and not _is_self_signed(each):
            yield (
                "weak_signature",
                f"{title} has a signature of an MD5 or SHA-1 digest, which clients refuse; get a "
                "new one from the authority.",
            )


def _has_broken_signature(certificate: x509.Certificate) -> bool:
    digest = certificate.signature_hash_algorithm
    return digest is not None and digest.name in _BROKEN_DIGESTS


def _is_self_signed(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


def _is_authority(certificate: x509.Certificate) -> bool:
    with suppress(x509.ExtensionNotFound):
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not constraints.ca:
            return False
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        return usage.key_cert_sign
    # Roots of version 1 have no extensions.
    return _is_self_signed(certificate) or len(certificate.extensions) > 0


def _chain_faults(
    chain: list[x509.Certificate], now: datetime.datetime
) -> Iterator[tuple[str, str]]:
    for position, upper in enumerate(chain[1:], start=2):
        title = f"Certificate {position} of the file ({_title(upper.subject)})"
        if not upper.not_valid_before_utc <= now < upper.not_valid_after_utc:
            yield (
                "issuer_expired",
                f"{title} is valid from {upper.not_valid_before_utc:%Y-%m-%d} until "
                f"{upper.not_valid_after_utc:%Y-%m-%d}; use the authority's current chain.",
            )
        if not _is_authority(upper):
            yield "not_an_authority", f"{title} is not a certificate authority."
    for position, (lower, upper) in enumerate(itertools.pairwise(chain), start=1):
        if _has_broken_signature(lower):
            continue  # which cannot be checked
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
    if len(chain) == 1 and not _is_self_signed(last):
        yield (
            "no_chain",
            f"The certificate was signed by {_title(last.issuer)}, which is not in the file; "
            "use the full chain (fullchain.pem). If that is a root of your own, append the root: "
            "Moorage gives clients the CA from this file.",
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
