"""The private certificate authority: made on first use, kept on the operator's machine."""

from __future__ import annotations

import datetime
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from moorage.answers.secrets import Secret
from moorage.errors import MoorageError
from moorage.state import private_folder, write_private

CA_DAYS = 3650
LEAF_DAYS = 397
RENEW_DAYS = 30
"""A certificate with fewer days left is replaced by the next apply."""


@dataclass(frozen=True)
class Issued:
    """A server certificate: PEM of it and its chain, and of its key."""

    certificate: bytes
    key: Secret


@dataclass(frozen=True)
class PrivateAuthority:
    """The authority: its certificate as PEM, and its key."""

    certificate_pem: bytes
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def key_pem(self) -> bytes:
        """The key as PEM."""
        return _key_pem(self._key)

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate."""
        return x509.load_pem_x509_certificate(self.certificate_pem)

    def issue(self, domain: str) -> Issued:
        """Issue a server certificate for a name, valid for 397 days."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        authority = self.certificate
        end = min(now + datetime.timedelta(days=LEAF_DAYS), authority.not_valid_after_utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(domain[:64]))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        return Issued(pem + self.certificate_pem, Secret(_key_pem(key).decode()))


def folder_of(name: str) -> Path:
    """Return the folder an authority of this name is kept in (which need not exist)."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return private_folder("ca") / slug


def load(name: str) -> PrivateAuthority | None:
    """Return the authority kept on this machine, or None.

    Raises:
        MoorageError: It is there and cannot be read.
    """
    folder = folder_of(name)
    if not folder.is_dir():
        return None
    try:
        certificate = (folder / "ca.pem").read_bytes()
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
        x509.load_pem_x509_certificate(certificate)
    except (OSError, ValueError, TypeError) as error:
        raise MoorageError(
            f"the private CA in {folder} cannot be read: {error}.",
            hint="Restore ca.pem and ca.key from a backup, or move the folder away: then a new CA "
            "is made, which clients have to trust.",
            code="private_ca_unreadable",
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise MoorageError(f"the key in {folder} is not an EC key.", code="private_ca_unreadable")
    return PrivateAuthority(certificate, key)


def create(name: str) -> PrivateAuthority:
    """Return a new authority, which exists only here until it is kept."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return PrivateAuthority(certificate.public_bytes(serialization.Encoding.PEM), key)


def keep(name: str, authority: PrivateAuthority) -> None:
    """Keep an authority on this machine.

    Raises:
        MoorageError: Another one of this name was kept meanwhile.
    """
    folder = folder_of(name)
    # Written aside and renamed: of two processes that do it together, one has to plan again.
    aside = Path(tempfile.mkdtemp(dir=folder.parent))
    write_private(aside / "ca.pem", authority.certificate_pem)
    write_private(aside / "ca.key", authority.key_pem)
    try:
        aside.rename(folder)
    except OSError as error:
        shutil.rmtree(aside)
        raise MoorageError(
            f"the private CA cannot be kept in {folder}: {error.strerror}.",
            hint="If another Moorage has just made it, plan again.",
            code="private_ca_not_kept",
        ) from error


def is_usable(issued: bytes, domain: str, authority: PrivateAuthority | None) -> bool:
    """Return whether a certificate is for the name, lasts a while, and comes from the authority."""
    try:
        leaf = x509.load_pem_x509_certificates(issued)[0]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if authority is not None:
            leaf.verify_directly_issued_by(authority.certificate)
    except Exception:  # whatever is wrong with it, a new one is issued
        return False
    left = leaf.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return domain in names.get_values_for_type(x509.DNSName) and left.days >= RENEW_DAYS


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
