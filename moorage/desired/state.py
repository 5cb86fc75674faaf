"""Desired state: packages, accounts, folders and files of one server, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from moorage.answers.secrets import Secret
from moorage.desired import layout
from moorage.desired.layout import Slot
from moorage.desired.masking import SecretKind, kind_of_secret
from moorage.desired.users import RegistryUser

RegistryVersion = Literal["2.8", "3"]

Reason = str | tuple[str, ...]
"""Why something is on a server: in words, or the fields of the answers it comes from."""


@dataclass(frozen=True)
class Listen:
    """Where nginx listens for clients.

    Attributes:
        address: ``*`` or ``[::]`` for every address of a family, else one of them.
        has_proxy_protocol: Whether a load balancer says there who the client is.
    """

    address: str
    port: int
    tls: bool = False
    has_proxy_protocol: bool = False

    def __str__(self) -> str:
        """Write what nginx's ``listen`` takes."""
        where = str(self.port) if self.address == "*" else f"{self.address}:{self.port}"
        words = (where, "ssl" * self.tls, "proxy_protocol" * self.has_proxy_protocol)
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class Platform:
    """What desired state needs to know about a server that the answers do not say.

    Attributes:
        os_id: As in os-release: debian, ubuntu.
        os_version: As in os-release: 12, 13, 24.04.
        ipv6: Whether the server has IPv6.
        has_njs: Whether nginx can run scripts there, which remembering logins takes.
        peers: The other servers behind the name, each with all its addresses.
        store_id: What the marker in the images' folder says, or is to say.
        memory: Bytes of memory, as the kernel counts them.
        addresses: Where to listen, by port, where other sites of the same nginx have a say in it.
        web_group: The group of nginx's workers.
        http_directives: What nginx.conf sets for all sites.
    """

    os_id: str = "debian"
    os_version: str = "12"
    ipv6: bool = True
    has_njs: bool = True
    peers: tuple[tuple[str, ...], ...] = ()
    store_id: str = ""
    memory: int = 2 * 1024**3
    addresses: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    web_group: str = layout.WEB_GROUP
    http_directives: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Materials:
    """What desired state is made of besides the answers: secrets, hashes and certificates.

    Attributes:
        http_secret: Signs upload states; the same on all servers.
        auth_key: Keys the authentication cache, hexadecimal.
        secrets: Resolved secrets by their path in the answers.
        users: The users as they should be on every server, in order.
        kept_users: Names of users whom only the servers know, and who stay.
        users_revision: How many changes of the users that makes.
        certificate: PEM, the certificate and its chain; None without TLS.
        certificate_key: PEM; None without TLS.
        ca_certificate: PEM of the private CA, if there is one.
        creates_ca: Whether the private CA was created for these materials.
        generated: Passwords made in this session, by user; shown once.
        weak_passwords: The users whose new password is easy to guess.
        hooks: The scripts of the operator's, by their hook's name.
        acme_ca: PEM of the CA that the ACME directory's certificate comes from, if it is private.
        addresses: Where the servers reach each other, by label; filled in when they have to.
        new_store_id: For the marker of a folder of images that has none yet.
        image_archive_digest: The SHA-256 of registry.image_archive, if there is one.
        keep: Keeps on this machine what was made for these materials; called before a run.
    """

    http_secret: Secret
    auth_key: Secret
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    users: tuple[RegistryUser, ...] = ()
    kept_users: tuple[str, ...] = ()
    users_revision: int = 1
    certificate: bytes | None = None
    certificate_key: Secret | None = None
    ca_certificate: bytes | None = None
    creates_ca: bool = False
    generated: Mapping[str, Secret] = field(default_factory=dict)
    weak_passwords: tuple[str, ...] = ()
    hooks: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    acme_ca: bytes | None = None
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    new_store_id: str = ""
    image_archive_digest: str | None = None
    keep: Callable[[], None] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Package:
    """A package of the distribution.

    Attributes:
        name: The package.
        reason: Why it is there.
        satisfied_by: Other packages that do as well, when they are there already.
    """

    name: str
    reason: Reason
    satisfied_by: tuple[str, ...] = ()


class Effect(StrEnum):
    """What has to happen for a changed file to count."""

    REGISTRY = "registry"
    """Switch slots."""
    NGINX = "nginx"
    """Reload nginx."""
    NOTHING = "nothing"
    """It counts as soon as it is there."""
    CERTIFICATE = "certificate"
    """Ask the authority for a certificate if the one that is there does not fit any more."""
    RENEWAL = "renewal"
    """Nothing now: it counts from the next renewal on."""


@dataclass(frozen=True)
class DesiredFile:
    """A file as it should be.

    Attributes:
        path: Where on the server.
        content: All of it.
        effect: What has to happen for a change to count.
        reason: Why it is there.
    """

    path: str
    content: bytes = field(repr=False)
    effect: Effect
    reason: Reason
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"

    @property
    def digest(self) -> str:
        """The content's SHA-256, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def secret(self) -> SecretKind | None:
        """How it is written if it holds secrets, which decides what people see of it."""
        return kind_of_secret(self.path)


@dataclass(frozen=True)
class DesiredFolder:
    """A folder as it should be."""

    path: str
    reason: Reason
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class Image:
    """The container image the registry runs from.

    Attributes:
        engine: docker or podman.
        name: The image's name and tag or digest.
        archive: A local archive to carry to the server, or None to pull.
        archive_digest: The archive's SHA-256, or None.
    """

    engine: Literal["docker", "podman"]
    name: str
    archive: str | None = None
    archive_digest: str | None = None


@dataclass(frozen=True)
class CertificateOrder:
    """A certificate that certbot gets on the server.

    Attributes:
        directory: The authority's directory URL.
        challenge: How it is proved that the name is the operator's.
        authenticator: certbot's plugin for that.
        key_type: ecdsa or rsa.
        peers: The other servers that the authority may ask, each with all its addresses.
    """

    directory: str
    challenge: Literal["http-01", "dns-01"]
    authenticator: str
    key_type: Literal["ecdsa", "rsa"]
    peers: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class DesiredState:
    """What the answers mean for one server, in the order it is made.

    Attributes:
        slot: The registry slot the files were rendered for.
        version: The registry's version the configuration is written for.
        storage_folder: The folder images are kept in; None when they are kept elsewhere.
        store_id: What the marker in that folder says, or is to say; empty without a folder.
        has_debug_listener: Whether the registry has a debug server, on a loopback port.
        listens: Where nginx listens for clients; the registry's own port comes first.
        files: In an order in which every file only refers to earlier ones.
        remembers_logins: Whether nginx remembers checked passwords.
        order: The certificate certbot gets, or None when it comes from elsewhere.
        has_check: Whether the site has what a run asks for to know it; those of before have not.
    """

    slot: Slot
    version: RegistryVersion
    domain: str
    listens: tuple[Listen, ...]
    tls: bool
    account: str
    storage_folder: str | None
    store_id: str
    packages: tuple[Package, ...]
    folders: tuple[DesiredFolder, ...]
    files: tuple[DesiredFile, ...]
    image: Image | None
    has_debug_listener: bool = False
    remembers_logins: bool = True
    order: CertificateOrder | None = None
    has_check: bool = True

    @property
    def ports(self) -> tuple[int, ...]:
        """The public ports nginx listens on."""
        return tuple(dict.fromkeys(each.port for each in self.listens))
