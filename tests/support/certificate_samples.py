"""Certificates and keys as people have them, generated for the tests.

Each sample has a certificate file, a key file and the authority that clients trust.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DOMAIN = "registry.example.com"
_NOW = datetime.datetime.now(datetime.UTC)
_DAY = datetime.timedelta(days=1)
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey


@dataclass(frozen=True)
class Holder:
    """A certificate with its key, as PEM in ``pem``."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def key_pem(self, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes = b"") -> bytes:
        """Return the key, encrypted if there is a password."""
        encryption = BestAvailableEncryption(password) if password else NoEncryption()
        return self.key.private_bytes(Encoding.PEM, form, encryption)


def p256() -> Key:
    """Return a key as most certificates have."""
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def rsa_key(bits: int) -> Key:
    """Return an RSA key."""
    return rsa.generate_private_key(65537, bits)


def issue(
    name: str,
    by: Holder | None = None,
    *,
    key: Key | None = None,
    names: tuple[str, ...] = (DOMAIN,),
    is_authority: bool = False,
    days: tuple[int, int] = (-10, 90),
    has_sha1: bool = False,
    purpose: x509.ObjectIdentifier | None = None,
    signs: bool | None = None,
) -> Holder:
    """Return a new certificate.

    Args:
        name: Its common name.
        by: Its issuer; None for itself.
        key: Its key.
        names: Its DNS names; none for no such extension.
        is_authority: Whether it can issue others.
        days: From and until when it is valid, relative to today.
        has_sha1: Whether its signature is of a SHA-1 digest; the issuer's key has to be RSA.
        purpose: Its extended key usage.
        signs: Whether its key usage has digitalSignature; None for no key usage.
    """
    key = key or p256()
    common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(common)
        .issuer_name(by.certificate.subject if by else common)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW + days[0] * _DAY)
        .not_valid_after(_NOW + days[1] * _DAY)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if names and not is_authority:
        alternatives = [x509.DNSName(each) for each in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if signs is not None:
        usage = x509.KeyUsage(signs, False, False, False, not signs, False, False, False, False)
        builder = builder.add_extension(usage, critical=True)
    signer = by.key if by else key
    certificate = builder.sign(signer, hashes.SHA256())  # type: ignore[arg-type]
    return Holder(_with_sha1(certificate, signer) if has_sha1 else certificate, key)


def _with_sha1(certificate: x509.Certificate, signer: Key) -> x509.Certificate:
    """Sign a certificate again, in a way that cryptography no longer does."""
    assert isinstance(signer, rsa.RSAPrivateKey)
    sha256, sha1 = (bytes.fromhex("2a864886f70d0101") + end for end in (b"\x0b", b"\x05"))
    signed = certificate.tbs_certificate_bytes.replace(sha256, sha1)
    signature = signer.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    der = certificate.public_bytes(Encoding.DER).replace(sha256, sha1)
    return x509.load_der_x509_certificate(der.replace(certificate.signature, signature))


@dataclass(frozen=True)
class Sample:
    """A certificate file, a key file, and the root that clients have."""

    certificate: bytes
    key: bytes
    root: bytes


@dataclass(frozen=True)
class Expected:
    """The codes of the faults that Moorage finds, none if all is well."""

    codes: tuple[str, ...]
    make: Callable[[], Sample]


ROOT = issue("Root", is_authority=True, days=(-100, 3000))
MIDDLE = issue("Middle", ROOT, is_authority=True, days=(-100, 1000))
LEAF = issue(DOMAIN, MIDDLE)
CHAIN = LEAF.pem + MIDDLE.pem


def _sample(certificate: bytes = CHAIN, key: bytes | None = None, root: Holder = ROOT) -> Sample:
    return Sample(certificate, LEAF.key_pem() if key is None else key, root.pem)


def _of(leaf: Holder, *above: bytes, root: Holder = ROOT) -> Sample:
    return Sample(b"".join((leaf.pem, *(above or (MIDDLE.pem,)))), leaf.key_pem(), root.pem)


def _expired_middle() -> Sample:
    middle = issue("Middle", ROOT, is_authority=True, days=(-100, -1))
    return _of(issue(DOMAIN, middle), middle.pem)


def _middle_that_is_no_authority() -> Sample:
    middle = issue("Middle", ROOT, names=())
    return _of(issue(DOMAIN, middle), middle.pem)


def _weak_middle() -> Sample:
    middle = issue("Middle", ROOT, is_authority=True, key=rsa_key(1024))
    return _of(issue(DOMAIN, middle), middle.pem)


def _sha1_middle() -> Sample:
    root = issue("Root", is_authority=True, key=rsa_key(2048))
    middle = issue("Middle", root, is_authority=True, has_sha1=True)
    return _of(issue(DOMAIN, middle), middle.pem, root=root)


def _sha1_leaf() -> Sample:
    root = issue("Root", is_authority=True, key=rsa_key(2048))
    return _of(issue(DOMAIN, root, has_sha1=True), root.pem, root=root)


def _expired_root() -> Sample:
    root = issue("Old root", is_authority=True, days=(-100, -1))
    return _of(issue(DOMAIN, root), root.pem, root=root)


def _sha1_root() -> Sample:
    root = issue("Old root", is_authority=True, key=rsa_key(2048), has_sha1=True)
    middle = issue("Middle", root, is_authority=True)
    return _of(issue(DOMAIN, middle), middle.pem, root.pem, root=root)


def _self_signed() -> Sample:
    leaf = issue(DOMAIN)
    return Sample(leaf.pem, leaf.key_pem(), leaf.pem)


def _long_chain() -> Sample:
    second = issue("Second", MIDDLE, is_authority=True)
    third = issue("Third", second, is_authority=True)
    return _of(issue(DOMAIN, third), third.pem, second.pem, MIDDLE.pem)


def _other_key() -> bytes:
    return issue(DOMAIN, MIDDLE).key_pem()


def _rsa(bits: int) -> Holder:
    return issue(DOMAIN, MIDDLE, key=rsa_key(bits))


def _traditional(holder: Holder, password: bytes = b"") -> bytes:
    return holder.key_pem(PrivateFormat.TraditionalOpenSSL, password)


def _pfx() -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"registry", LEAF.key, LEAF.certificate, [MIDDLE.certificate],  # type: ignore[arg-type]
        BestAvailableEncryption(b"passphrase"),
    )  # fmt: skip


def _request() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(LEAF.key, hashes.SHA256()).public_bytes(Encoding.PEM)  # type: ignore[arg-type]


def _public_key() -> bytes:
    return LEAF.key.public_key().public_bytes(
        Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


SECP256K1 = ec.generate_private_key(ec.SECP256K1())
BAG = b"Bag Attributes\n    friendlyName: Schl\xfcssel\nKey Attributes: <No Attributes>\n"
CURVE_PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
JOINED = CHAIN.replace(b"-----\n-----", b"----------")
P7B = pkcs7.serialize_certificates([LEAF.certificate, MIDDLE.certificate], Encoding.PEM)

SAMPLES: dict[str, Expected] = {
    "full chain": Expected((), _sample),
    "root included": Expected((), lambda: _sample(CHAIN + ROOT.pem)),
    "directly from the root": Expected((), lambda: _of(issue(DOMAIN, ROOT), ROOT.pem)),
    "four certificates": Expected((), _long_chain),
    "self-signed": Expected((), _self_signed),
    "CRLF": Expected((), lambda: _sample(CHAIN.replace(b"\n", b"\r\n"))),
    "CRLF key": Expected((), lambda: _sample(key=LEAF.key_pem().replace(b"\n", b"\r\n"))),
    "leading text": Expected((), lambda: _sample(b"subject=/CN=x\n" + CHAIN)),
    "text between": Expected((), lambda: _sample(LEAF.pem + b"\nissuer:\n" + MIDDLE.pem)),
    "no last line end": Expected((), lambda: _sample(CHAIN.rstrip())),
    "trailing blanks": Expected((), lambda: _sample(CHAIN.replace(b"-----\n", b"----- \n"))),
    "X509 CERTIFICATE": Expected(
        (), lambda: _sample(CHAIN.replace(b"CERTIFICATE", b"X509 CERTIFICATE"))
    ),
    "key with bag attributes": Expected((), lambda: _sample(key=BAG + LEAF.key_pem())),
    "key in the traditional form": Expected((), lambda: _sample(key=_traditional(LEAF))),
    "key with EC parameters": Expected(
        (), lambda: _sample(key=CURVE_PARAMETERS + _traditional(LEAF))
    ),
    "RSA 2048": Expected((), lambda: _of(_rsa(2048))),
    "RSA 4096, traditional": Expected(
        (), lambda: Sample(_rsa(4096).pem + MIDDLE.pem, _traditional(_rsa(4096)), ROOT.pem)
    ),
    "P-384": Expected(
        (), lambda: _of(issue(DOMAIN, MIDDLE, key=ec.generate_private_key(ec.SECP384R1())))
    ),
    "Ed25519": Expected(
        (), lambda: _of(issue(DOMAIN, MIDDLE, key=ed25519.Ed25519PrivateKey.generate()))
    ),
    "one file for both": Expected(
        (), lambda: _sample(CHAIN + LEAF.key_pem(), CHAIN + LEAF.key_pem())
    ),
    "key first": Expected((), lambda: _sample(LEAF.key_pem() + CHAIN)),
    "wildcard": Expected((), lambda: _of(issue("w", MIDDLE, names=("*.example.com",)))),
    "for servers": Expected(
        (),
        lambda: _of(issue(DOMAIN, MIDDLE, purpose=ExtendedKeyUsageOID.SERVER_AUTH, signs=True)),
    ),
    "SHA-1 root": Expected((), _sha1_root),
    "joined": Expected(("joined",), lambda: _sample(JOINED)),
    "indented": Expected(
        ("indented",), lambda: _sample(CHAIN.replace(b"-----BEGIN", b"  -----BEGIN"))
    ),
    "indented key": Expected(
        ("indented",), lambda: _sample(key=b"    " + LEAF.key_pem().replace(b"\n", b"\n    "))
    ),
    "byte order mark": Expected(("bom",), lambda: _sample(b"\xef\xbb\xbf" + CHAIN)),
    "UTF-16": Expected(("utf_16",), lambda: _sample(CHAIN.decode().encode("utf-16"))),
    "DER": Expected(("der",), lambda: _sample(LEAF.der)),
    "DER key": Expected(
        ("der_key",),
        lambda: _sample(
            key=LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        ),
    ),
    "PFX": Expected(("pfx",), lambda: _sample(_pfx(), _pfx())),
    "PKCS #7": Expected(("pkcs7",), lambda: _sample(P7B)),
    "PKCS #7 in DER": Expected(
        ("pkcs7_der",),
        lambda: _sample(
            pkcs7.serialize_certificates([LEAF.certificate, MIDDLE.certificate], Encoding.DER)
        ),
    ),
    "Java key store": Expected(("jks",), lambda: _sample(b"\xfe\xed\xfe\xed\0\0\0\2")),
    "trusted certificate": Expected(
        ("trusted",), lambda: _sample(CHAIN.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"))
    ),
    "request": Expected(("request",), lambda: _sample(_request())),
    "swapped": Expected(("swapped",), lambda: _sample(LEAF.key_pem(), CHAIN)),
    "certificate for the key": Expected(("swapped_key",), lambda: _sample(key=CHAIN)),
    "public key": Expected(("public",), lambda: _sample(key=_public_key())),
    "OpenSSH key": Expected(
        ("openssh",), lambda: _sample(key=LEAF.key_pem(PrivateFormat.OpenSSH))
    ),
    "empty": Expected(("unreadable",), lambda: _sample(b"")),
    "empty key": Expected(("key_unreadable",), lambda: _sample(key=b"")),
    "cut off": Expected(("cut_off",), lambda: _sample(LEAF.pem + MIDDLE.pem[:400])),
    "encrypted key": Expected(
        ("key_encrypted",), lambda: _sample(key=LEAF.key_pem(password=b"passphrase"))
    ),
    "encrypted key in the traditional form": Expected(
        ("key_encrypted",), lambda: _sample(key=_traditional(LEAF, b"passphrase"))
    ),
    "another key": Expected(("key_mismatch",), lambda: _sample(key=_other_key())),
    "wrong order": Expected(
        ("wrong_order", "wrong_name", "not_an_authority", "broken_chain"),
        lambda: _sample(MIDDLE.pem + LEAF.pem),
    ),
    "no intermediate": Expected(("no_chain",), lambda: _sample(LEAF.pem)),
    "intermediate of another": Expected(
        ("broken_chain",),
        lambda: _of(issue(DOMAIN, MIDDLE), issue("Other", ROOT, is_authority=True).pem),
    ),
    "expired": Expected(("expired",), lambda: _of(issue(DOMAIN, MIDDLE, days=(-90, -1)))),
    "not yet valid": Expected(("not_yet",), lambda: _of(issue(DOMAIN, MIDDLE, days=(2, 90)))),
    "expired intermediate": Expected(("issuer_expired",), _expired_middle),
    "expired root": Expected(("issuer_expired",), _expired_root),
    "intermediate is not an authority": Expected(
        ("not_an_authority",), _middle_that_is_no_authority
    ),
    "no alternative name": Expected(
        ("wrong_name",), lambda: _of(issue(DOMAIN, MIDDLE, names=()))
    ),
    "another name": Expected(
        ("wrong_name",), lambda: _of(issue("x", MIDDLE, names=("www.example.com",)))
    ),
    "for clients": Expected(
        ("wrong_purpose",),
        lambda: _of(issue(DOMAIN, MIDDLE, purpose=ExtendedKeyUsageOID.CLIENT_AUTH)),
    ),
    "does not sign": Expected(
        (), lambda: _of(issue(DOMAIN, MIDDLE, signs=False))
    ),
    "RSA 1024": Expected(("weak_key",), lambda: _of(_rsa(1024))),
    "RSA 1024 intermediate": Expected(("weak_key",), _weak_middle),
    "secp256k1": Expected(
        ("weak_key",), lambda: _of(issue(DOMAIN, MIDDLE, key=SECP256K1))
    ),
    "DSA": Expected(
        ("weak_key",), lambda: _of(issue(DOMAIN, MIDDLE, key=dsa.generate_private_key(2048)))
    ),
    "SHA-1": Expected(("weak_signature",), _sha1_leaf),
    "SHA-1 intermediate": Expected(("weak_signature",), _sha1_middle),
    # What follows works with OpenSSL, but not with all clients, or only by luck.
    "certificate twice": Expected(
        ("not_an_authority", "broken_chain"), lambda: _sample(LEAF.pem + CHAIN)
    ),
    "intermediates in the wrong order": Expected(
        ("broken_chain",), lambda: _sample(LEAF.pem + ROOT.pem + MIDDLE.pem)
    ),
    "a certificate too many": Expected(
        ("broken_chain",), lambda: _sample(CHAIN + issue("Other", is_authority=True).pem)
    ),
}  # fmt: skip
STRICTER = {
    "byte order mark",
    "certificate twice", "intermediates in the wrong order", "a certificate too many",
}  # fmt: skip
"""What Moorage refuses although OpenSSL 3 accepts it; older ones cannot read a byte order mark."""
