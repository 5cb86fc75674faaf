"""The answers about TLS: the certificate and how connections are secured."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from moorage.answers.base import AnswersModel
from moorage.answers.dns_plugins import PLUGINS
from moorage.answers.fields import WHOLE_NUMBER, LocalPath, matching, reject
from moorage.answers.secrets import (
    REFERENCE_SCHEMA,
    SecretReference,
    dump_reference,
    is_reference,
    read_reference,
)

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
TWO_YEARS = 63072000


def _check_network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise reject(
            "wrong_form", "must be an address or a network such as 10.0.0.0/8 or 2001:db8::/32"
        ) from None


def _check_credential(value: object) -> object:
    if isinstance(value, bool) or value is None:
        raise reject("wrong_type", "must be text, a whole number or a secret reference")
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        if not re.fullmatch(r"[A-Za-z0-9:][A-Za-z0-9 ._:@/+=-]{0,254}", value, re.ASCII):
            raise reject("wrong_form", "must be letters, digits and . _ : @ / + = -")
        return value
    return read_reference(value)


Network = Annotated[str, Field(max_length=64), AfterValidator(_check_network)]
Email = Annotated[
    str,
    matching(
        r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+",
        "an email address such as ops@example.com",
    ),
]
DirectoryUrl = Annotated[
    str,
    matching(
        r"https://[A-Za-z0-9.\[\]:_-]+(/[A-Za-z0-9._~/-]*)?",
        "an https URL such as https://ca.example.com/acme/directory",
    ),
]
Credential = Annotated[
    str | int | SecretReference,
    PlainValidator(_check_credential),
    PlainSerializer(dump_reference),
    WithJsonSchema({"anyOf": [{"type": ["string", "integer"]}, REFERENCE_SCHEMA]}),
]


class CertificateFiles(AnswersModel):
    """Your own certificate."""

    certificate: LocalPath
    """A PEM file with the certificate, followed by its chain."""
    key: LocalPath
    """A PEM file with the private key, without a passphrase."""


class PrivateCa(AnswersModel):
    """A certificate authority that Moorage creates and keeps on your machine."""

    name: Annotated[
        str, matching(r"[A-Za-z0-9][A-Za-z0-9 ._-]*", "letters, digits, spaces and . _ -", 60)
    ] = "Moorage private CA"
    """The CA's common name, which clients see as the issuer."""
    passphrase: SecretReference | None = None
    """Encrypts the CA key on your machine; only needed when a certificate is issued."""


class ExternalAccount(AnswersModel):
    """An existing account at the authority (external account binding)."""

    kid: Annotated[str, matching(r"[A-Za-z0-9._~+/=-]+", "letters, digits and . _ ~ + / = -")]
    """The key ID from the authority. Only for authorities that require an account."""
    hmac: SecretReference
    """The HMAC key from the authority, in base64url."""


class DnsChallenge(AnswersModel):
    """The DNS provider for certbot's DNS-01 challenge, and its credentials."""

    provider: Literal[
        "rfc2136", "route53", "cloudflare", "digitalocean", "dnsimple", "gehirn", "google",
        "linode", "ovh", "sakuracloud",
    ]  # fmt: skip
    """Where the zone is managed: the providers Debian has a plugin of certbot for."""
    credentials: dict[str, Credential] = Field(default_factory=dict)
    """The plugin's credentials; docs/certificates.md lists the names."""
    propagation_seconds: Annotated[int, Field(ge=0, le=3600), WHOLE_NUMBER] | None = None
    """Seconds to wait for DNS propagation. Default: the plugin's."""

    @model_validator(mode="after")
    def _credentials_are_the_plugins(self) -> DnsChallenge:
        plugin = PLUGINS[self.provider]
        known = (*plugin.plain, *plugin.secrets)
        for name, value in self.credentials.items():
            at = ("credentials", name)
            if name not in known:
                message = f"is not a credential of {self.provider}; known: {', '.join(known)}"
                raise reject("unknown_key", message, at)
            if name in plugin.secrets and not is_reference(value):
                message = "must not be a secret in plain text; use a reference such as {env: NAME}"
                raise reject("plain_text_secret", message, at)
        missing = [
            name for name in known if name not in plugin.optional and name not in self.credentials
        ]
        if missing:
            message = f"{self.provider} needs {', '.join(missing)}"
            raise reject("incomplete", message, ("credentials",))
        if self.provider == "route53" and len(self.credentials) == 1:
            message = "set both access_key_id and secret_access_key, or neither"
            raise reject("incomplete", message, ("credentials",))
        return self


class Acme(AnswersModel):
    """A certificate from an ACME authority, renewed on the servers by certbot."""

    email: Email | None = None
    """Contact address for the authority; most no longer use it."""
    directory: DirectoryUrl | None = None
    """The authority's ACME directory URL. Default: Let's Encrypt."""
    staging: bool = False
    """Whether to use Let's Encrypt staging: higher limits, but untrusted certificates."""
    ca_file: LocalPath | None = None
    """PEM file of the CA that issued the directory's own certificate, if it is private."""
    key_type: Literal["ecdsa", "rsa"] = "ecdsa"
    """The kind of the certificate's key."""
    external_account: ExternalAccount | None = None
    """For authorities that require an existing account."""
    challenge: Literal["http-01", "dns-01"] = "http-01"
    """http-01: the authority asks port 80 of the servers; dns-01: it looks for a DNS record."""
    dns: DnsChallenge | None = None
    """Used when the challenge is dns-01."""

    @model_validator(mode="after")
    def _is_complete(self) -> Acme:
        if self.challenge == "dns-01" and self.dns is None:
            message = "the challenge dns-01 needs a section dns with provider and credentials"
            raise reject("incomplete", message, ("dns",))
        if self.staging and self.directory is not None:
            message = "staging is for Let's Encrypt only: remove either staging or directory"
            raise reject("contradiction", message, ("staging",))
        return self

    @property
    def url(self) -> str:
        """The directory that is used."""
        return self.directory or (LETS_ENCRYPT_STAGING if self.staging else LETS_ENCRYPT)

    @property
    def is_public(self) -> bool:
        """Whether clients trust the authority's certificates by default."""
        return self.url == LETS_ENCRYPT


class Ssl(AnswersModel):
    """The registry's certificate and TLS settings."""

    mode: Literal["acme", "files", "private_ca", "none"] = "private_ca"
    """acme: from an authority such as Let's Encrypt; files: your own; private_ca: from Moorage's
    own CA; none: a load balancer terminates TLS."""
    acme: Acme = Field(default_factory=Acme)
    """Used when the mode is acme."""
    files: CertificateFiles | None = None
    """Used when the mode is files."""
    private_ca: PrivateCa = Field(default_factory=PrivateCa)
    """Used when the mode is private_ca."""
    profile: Literal["intermediate", "modern"] = "intermediate"
    """Mozilla's TLS profile: intermediate allows TLS 1.2 and 1.3, modern only 1.3."""
    hsts: Annotated[int, Field(ge=1, le=2 * TWO_YEARS), WHOLE_NUMBER] | None = None
    """HSTS max-age in seconds; off by default."""
    trusted_proxies: tuple[Network, ...] = ()
    """Load balancers whose X-Forwarded-For and X-Forwarded-Proto headers are trusted."""

    @model_validator(mode="after")
    def _mode_is_described(self) -> Ssl:
        if self.mode == "files" and self.files is None:
            message = "the mode files needs a section files with certificate and key"
            raise reject("incomplete", message, ("files",))
        return self


def acme_references(acme: Acme) -> dict[tuple[str, ...], Any]:
    """Return every secret reference of the section, by its path below it."""
    found: dict[tuple[str, ...], Any] = {}
    if acme.external_account is not None:
        found["external_account", "hmac"] = acme.external_account.hmac
    if acme.challenge == "dns-01" and acme.dns is not None:
        for name, value in acme.dns.credentials.items():
            if is_reference(value):
                found["dns", "credentials", name] = value
    return found
