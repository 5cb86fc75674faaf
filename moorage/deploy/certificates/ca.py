"""The private certificate authority: created on first use, kept on the operator's machine.

Each registry has its own. Name constraints limit it to the registry's name and its subdomains, so
a client that trusts it trusts it for nothing else.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import re
import shutil
import tempfile
from dataclasses import dataclass, field, replace
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
    """A server certificate: the PEM of the certificate with its chain, and of the key."""

    certificate: bytes
    key: Secret


@dataclass(frozen=True)
class PrivateAuthority:
    """The authority: certificate and key as PEM; the key can be encrypted."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate."""
        return x509.load_pem_x509_certificate(self.certificate_pem)

    @property
    def is_encrypted(self) -> bool:
        """Whether the key needs a passphrase."""
        return b"ENCRYPTED" in self.key_pem

    def encrypted(self, passphrase: Secret) -> PrivateAuthority:
        """Return the same authority with its key encrypted.

        Raises:
            MoorageError: The key cannot be read.
        """
        return replace(self, key_pem=_key_pem(self._key(None), passphrase))

    def _key(self, passphrase: Secret | None) -> ec.EllipticCurvePrivateKey:
        if self.is_encrypted and not passphrase:
            raise MoorageError(
                "a new certificate is due, and the private CA's key is encrypted.",
                advice="Set where its passphrase is found.",
                fields=("ssl.private_ca.passphrase",),
                code="private_ca_passphrase",
            )
        secret = passphrase.reveal().encode() if self.is_encrypted and passphrase else None
        try:
            key = serialization.load_pem_private_key(self.key_pem, password=secret)
        except ValueError as error:
            if secret is None:
                raise _unreadable("its key", error) from error
            raise MoorageError(
                "the passphrase does not open the private CA's key.",
                advice="Correct the passphrase.",
                fields=("ssl.private_ca.passphrase",),
                code="private_ca_passphrase",
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise MoorageError(
                "the private CA's key is not an EC key.", code="private_ca_unreadable"
            )
        return key

    def issue(self, domain: str, passphrase: Secret | None = None) -> Issued:
        """Issue a server certificate for a name, valid for 397 days.

        Args:
            domain: The name.
            passphrase: Opens the authority's key, if it is encrypted.

        Raises:
            MoorageError: The passphrase is missing or wrong.
        """
        authority_key = self._key(passphrase)
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        authority = self.certificate
        end = min(now + datetime.timedelta(days=LEAF_DAYS), authority.not_valid_after_utc)
        certificate = (
            x509.CertificateBuilder()
            # Clients go by the alternative name; a common name has 64 characters at the most.
            .subject_name(_name(domain if len(domain) <= 64 else "registry"))
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
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
                critical=False,
            )
            .sign(authority_key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        return Issued(pem + self.certificate_pem, Secret(_key_pem(key).decode()))


def folder_of(name: str, domain: str) -> Path:
    """Return the folder a registry's authority is kept in (which need not exist).

    Args:
        name: The authority's name.
        domain: The registry's name.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    short = domain if len(domain) <= 150 else hashlib.sha256(domain.encode()).hexdigest()[:32]
    own = private_folder("ca") / f"{slug}--{short}"
    # Before every registry had an authority of its own, one name meant one authority.
    shared = private_folder("ca") / slug
    return shared if shared.is_dir() and not own.is_dir() else own


def load(name: str, domain: str) -> PrivateAuthority | None:
    """Return the authority kept on this machine for a registry, or None.

    Raises:
        MoorageError: It exists but cannot be read.
    """
    folder = folder_of(name, domain)
    if not folder.is_dir():
        return None
    try:
        certificate = (folder / "ca.pem").read_bytes()
        key = (folder / "ca.key").read_bytes()
        x509.load_pem_x509_certificate(certificate)
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(str(folder), error) from error
    if b"PRIVATE KEY-----" not in key:
        raise _unreadable(str(folder / "ca.key"), ValueError("not a PEM key"))
    return PrivateAuthority(certificate, key)


def _unreadable(what: str, error: Exception) -> MoorageError:
    return MoorageError(
        f"the private CA cannot be read: {what}: {error}.",
        advice="Restore ca.pem and ca.key from a backup, or move the folder away: Moorage then "
        "creates a new CA, which clients have to trust.",
        code="private_ca_unreadable",
    )


def create(name: str, domain: str, passphrase: Secret | None = None) -> PrivateAuthority:
    """Return a new authority; :func:`keep` stores it.

    Args:
        name: Its common name.
        domain: The name it is limited to, with its subdomains.
        passphrase: Encrypts its key, if there is one.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name, domain))
        .issuer_name(_name(name, domain))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(_constraints(domain), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return PrivateAuthority(pem, _key_pem(key, passphrase))


def keep(name: str, domain: str, authority: PrivateAuthority) -> None:
    """Store a new authority on this machine.

    Raises:
        MoorageError: Another one of this name was stored meanwhile.
    """
    folder = folder_of(name, domain)
    # Write to a temporary folder and rename it: if two processes race, one has to plan again.
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    write_private(temporary / "ca.pem", authority.certificate_pem)
    write_private(temporary / "ca.key", authority.key_pem)
    try:
        temporary.rename(folder)
    except OSError as error:
        shutil.rmtree(temporary)
        raise MoorageError(
            f"the private CA cannot be stored in {folder}: {error.strerror}.",
            advice="If another Moorage has just created it, plan again.",
            code="private_ca_not_kept",
        ) from error


def keep_encrypted(name: str, domain: str, passphrase: Secret) -> None:
    """Encrypt the stored key of an authority.

    Raises:
        MoorageError: It cannot be read.
    """
    authority = load(name, domain)
    if authority is not None and not authority.is_encrypted:
        write_private(folder_of(name, domain) / "ca.key", authority.encrypted(passphrase).key_pem)


def is_usable(issued: bytes, domain: str, name: str, authority: PrivateAuthority | None) -> bool:
    """Return whether a certificate is for the name, not about to expire, and from the authority.

    Args:
        issued: PEM: the certificate, then the authority's.
        domain: The registry's name.
        name: The authority's name; all that is known of one that is kept on another machine.
        authority: The authority, if it is kept here.
    """
    try:
        leaf, *above = x509.load_pem_x509_certificates(issued)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        signer = authority.certificate if authority is not None else above[-1]
        leaf.verify_directly_issued_by(signer)
        signer.verify_directly_issued_by(signer)
        common = signer.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    except Exception:  # whatever is wrong, a new one is issued
        return False
    left = leaf.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    is_for_it = domain in names.get_values_for_type(x509.DNSName) and common == name
    return is_for_it and left.days >= RENEW_DAYS


def is_limited_to(authority: x509.Certificate, domain: str) -> bool:
    """Return whether an authority can only issue certificates for a name and names below it.

    Args:
        authority: Its certificate, perhaps from a server.
        domain: The name.
    """
    try:
        limits = authority.extensions.get_extension_for_class(x509.NameConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return limits.critical and limits.value == _constraints(domain)


def _constraints(domain: str) -> x509.NameConstraints:
    """Limit an authority to one name and its subdomains, and exclude all IP addresses."""
    addresses = [
        x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")),
        x509.IPAddress(ipaddress.ip_network("::/0")),
    ]
    return x509.NameConstraints([x509.DNSName(domain)], addresses)


def _name(common: str, organization: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if 0 < len(organization) <= 64:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _key_pem(key: ec.EllipticCurvePrivateKey, passphrase: Secret | None = None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.reveal().encode())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
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
