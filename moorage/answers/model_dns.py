"""The answers about DNS; see :mod:`moorage.answers.model`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from moorage.answers.base import AnswersModel
from moorage.answers.fields import (
    OPERATOR_ONLY,
    WHOLE_NUMBER,
    DnsName,
    Host,
    NameServer,
    OptionName,
    Port,
    Text,
    Variable,
    is_secret_option,
    matching,
    reject,
)
from moorage.answers.secrets import SecretReference


class Rfc2136(AnswersModel):
    """A name server that accepts RFC 2136 updates (BIND, Knot, PowerDNS and others)."""

    server: Annotated[Host, OPERATOR_ONLY]
    """The zone's primary name server."""
    port: Port = 53
    """The name server's port."""
    key_name: DnsName | None = None
    """The name of the TSIG key, as in the name server's configuration."""
    key: SecretReference | None = None
    """The TSIG key, in base64."""
    algorithm: Literal[
        "hmac-sha256", "hmac-sha512", "hmac-sha384", "hmac-sha224", "hmac-sha1", "hmac-md5"
    ] = "hmac-sha256"  # fmt: skip
    """The TSIG algorithm."""

    @model_validator(mode="after")
    def _key_is_complete(self) -> Rfc2136:
        if (self.key is None) != (self.key_name is None):
            missing = "key" if self.key is None else "key_name"
            raise reject("incomplete", "set both key_name and key, or neither",
                         (missing,))  # fmt: skip
        return self


class Route53(AnswersModel):
    """A zone in Amazon Route 53."""

    zone_id: Annotated[str, matching(r"[A-Z0-9]{1,32}", "an ID such as Z0123456789ABC")] | None = (
        None
    )
    """The hosted zone's ID. Default: the public zone that contains the name."""
    accesskey: SecretReference | None = None
    """The access key ID. Without keys, this machine's AWS credentials are used."""
    secretkey: SecretReference | None = None
    """The secret access key."""
    profile: Annotated[Text, OPERATOR_ONLY] | None = None
    """A profile from ~/.aws/config, instead of keys."""
    endpoint: Annotated[
        str,
        matching(r"https?://[A-Za-z0-9.\[\]:_-]+/?", "an http(s) URL without a path"),
        OPERATOR_ONLY,
    ] | None = None  # fmt: skip
    """An endpoint other than Amazon's."""

    @model_validator(mode="after")
    def _keys_come_together(self) -> Route53:
        if (self.accesskey is None) != (self.secretkey is None):
            missing = "accesskey" if self.accesskey is None else "secretkey"
            message = "set both accesskey and secretkey, or neither"
            raise reject("incomplete", message, (missing,))
        return self


class Lexicon(AnswersModel):
    """One of the providers of dns-lexicon: cloudflare, gandi, hetzner, ovh, powerdns and others."""

    name: Annotated[str, matching(r"[a-z0-9]+", "a dns-lexicon provider such as cloudflare")]
    """The provider, as dns-lexicon calls it."""
    options: Annotated[dict[OptionName, Variable], OPERATOR_ONLY] = Field(default_factory=dict)
    """Its options, such as auth_token; logins, tokens and keys as references to secrets."""

    @model_validator(mode="after")
    def _secrets_are_references(self) -> Lexicon:
        for name, value in self.options.items():
            if isinstance(value, (str, int)) and is_secret_option(name):
                message = "must not be a secret in plain text; use a reference such as {env: NAME}"
                raise reject("plain_text_secret", message, ("options", name))
        return self


class Failover(AnswersModel):
    """Health checks that keep failed servers out of DNS."""

    interval: Annotated[int, Field(ge=2, le=3600), WHOLE_NUMBER] = 10
    """Seconds between two checks of a server."""
    fall: Annotated[int, Field(ge=1, le=20), WHOLE_NUMBER] = 2
    """Failed checks in a row before a server is removed from DNS."""
    rise: Annotated[int, Field(ge=1, le=100), WHOLE_NUMBER] = 3
    """Passed checks in a row before it is added again."""


class Dns(AnswersModel):
    """The registry's DNS records, and who creates them."""

    provider: Annotated[
        Literal["manual", "rfc2136", "route53", "lexicon"], OPERATOR_ONLY
    ] = "manual"  # fmt: skip
    """manual: you create the records, Moorage lists and checks them; otherwise Moorage does it."""
    record: Literal["address", "cname"] = "address"
    """address: A and AAAA records of the servers; cname: a CNAME to another name."""
    target: DnsName | None = None
    """The CNAME's target, if the record is cname. Default: the only server's name."""
    ttl: Annotated[int, Field(ge=1, le=604800), WHOLE_NUMBER] | None = None
    """The records' TTL in seconds. Default: 300, with failover 60."""
    zone: DnsName | None = None
    """The zone of the records, if it cannot be detected."""
    nameservers: Annotated[tuple[NameServer, ...], OPERATOR_ONLY] = ()
    """The zone's own name servers, ADDRESS or ADDRESS:PORT, if they cannot be detected."""
    failover: Failover | None = None
    """With several servers: DNS lists only the healthy ones."""
    rfc2136: Rfc2136 | None = None
    """Used when the provider is rfc2136."""
    route53: Route53 | None = None
    """Used when the provider is route53; optional."""
    lexicon: Lexicon | None = None
    """Used when the provider is lexicon."""

    @model_validator(mode="after")
    def _provider_is_described(self) -> Dns:
        if self.provider == "rfc2136" and self.rfc2136 is None:
            message = "the provider rfc2136 needs a section rfc2136 with server and key"
            raise reject("incomplete", message, ("rfc2136",))
        if self.provider == "lexicon" and self.lexicon is None:
            message = "the provider lexicon needs a section lexicon with name and options"
            raise reject("incomplete", message, ("lexicon",))
        if self.record == "cname" and self.failover is not None:
            message = "failover needs address records: a CNAME points to one name only"
            raise reject("contradiction", message, ("record",))
        return self

    @property
    def seconds(self) -> int:
        """The records' TTL."""
        return self.ttl or (60 if self.failover else 300)
