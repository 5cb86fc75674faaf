"""The answers model.

The text below a field is its description in docs/answers.md and in the JSON Schema. Its first line
alone is the help below the field in the wizard. :mod:`moorage.answers.describe` reads it from here
on demand.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, model_validator

from moorage.answers.base import AnswersModel
from moorage.answers.fields import (
    WHOLE_NUMBER,
    Address,
    Domain,
    Environment,
    Host,
    ImageName,
    LocalPath,
    LoginName,
    Port,
    RegistryVersion,
    RepositoryRule,
    Runtime,
    ServerPath,
    Settings,
    Text,
    UserName,
    matching,
    reject,
)
from moorage.answers.model_dns import Dns
from moorage.answers.model_retention import Collect, Keep, RetentionRule, covered_by
from moorage.answers.secrets import PasswordReference, SecretReference
from moorage.answers.ssl import (
    Acme,
    CertificateFiles,
    DnsChallenge,
    ExternalAccount,
    PrivateCa,
    Ssl,
)

__all__ = [  # what other modules import from here
    "VERSION",
    "Acme",
    "Answers",
    "AnswersModel",
    "CertificateFiles",
    "Collect",
    "Credentials",
    "Dns",
    "DnsChallenge",
    "ExternalAccount",
    "FilesystemStorage",
    "Hook",
    "ImageLogin",
    "Keep",
    "Moment",
    "PrivateCa",
    "Registry",
    "RetentionRule",
    "S3Storage",
    "Server",
    "Ssl",
    "Step",
    "Storage",
    "User",
    "storage_not_shared",
]  # fmt: skip

VERSION = 1
_LONGEST_RULES = 3500


class ImageLogin(AnswersModel):
    """A login for the registry that the image is pulled from."""

    user: Annotated[str, matching(r"[^:\x00-\x1f]+", "a user name without a colon")]
    """The user name there."""
    password: SecretReference
    """The password or access token."""


class Registry(AnswersModel):
    """The registry itself: its name, runtime and configuration."""

    domain: Domain
    """The registry's DNS name, as in registry.example.com/app."""
    port: Port = 443
    """The port nginx listens on.

    HTTPS, or HTTP when ssl.mode is none.
    """
    listen: tuple[Address, ...] = ()
    """Addresses of the server to listen on. Empty: all of them."""
    proxy_protocol: bool = False
    """Whether a load balancer in front of nginx sends the PROXY protocol."""
    redirect_http: bool = True
    """Whether to redirect HTTP (port 80) to HTTPS."""
    runtime: Runtime = "package"
    """What runs the registry: a container engine, or the distribution's docker-registry package."""
    image: ImageName = "docker.io/library/registry:3.1.1"
    """The container image, for the runtimes docker and podman."""
    image_login: ImageLogin | None = None
    """A login for pulling the image, if its registry needs one."""
    image_archive: LocalPath | None = None
    """A `docker save` archive on this machine, for servers without internet access."""
    version: RegistryVersion | None = None
    """The registry's version, if the image's tag does not show it, or the package is not 2.8.

    3 is the newest 3.x.
    """
    settings: Settings = Field(default_factory=dict)
    """Any part of the registry's own configuration, merged over what Moorage writes."""
    environment: Environment = Field(default_factory=dict)
    """The same settings as REGISTRY_* variables, and the process's own, such as HTTP_PROXY.

    A mapping, or a list of NAME=value. REGISTRY_* is merged into the configuration. Variables of
    the process are HTTP_PROXY, HTTPS_PROXY, NO_PROXY, AWS_*, AZURE_*, OTEL_*,
    GOOGLE_APPLICATION_CREDENTIALS, SSL_CERT_FILE, SSL_CERT_DIR, GODEBUG, GOGC, GOMAXPROCS and TZ.
    """

    def on_server(self, runtime: Runtime | None, image: str | None) -> Registry:
        """Return the registry of a server with a runtime or an image of its own.

        Args:
            runtime: The server's own runtime, if it has one.
            image: Its own image, which is not in the archive.
        """
        update: dict[str, object] = {} if runtime is None else {"runtime": runtime}
        if image is not None:
            update |= {"image": image, "image_archive": None}
            if shows_version(image):
                update["version"] = None
        return self.model_copy(update=update) if update else self


def shows_version(image: str) -> bool:
    """Return whether an image's tag begins with a version."""
    return re.search(r":v?[0-9][^/]*$", image) is not None


class Server(AnswersModel):
    """A machine the registry runs on."""

    host: Host
    """Address, host name, or alias from ~/.ssh/config.

    No two servers can have the same.
    """
    connection: Literal["ssh", "local"] = "ssh"
    """ssh, or local for the machine Moorage runs on."""
    user: LoginName | None = None
    """The login user: root, or a user with sudo. Default: from ~/.ssh/config."""
    port: Port | None = None
    """The SSH port. Default: from ~/.ssh/config, or 22."""
    key: LocalPath | None = None
    """A private key file. Default: ~/.ssh/config, the agent and the usual files."""
    passphrase: SecretReference | None = None
    """The key's passphrase."""
    password: SecretReference | None = None
    """The login password, if there is no key."""
    sudo_password: SecretReference | None = None
    """The password for sudo, if sudo asks for one."""
    jump: Text | None = None
    """A jump host, USER@HOST:PORT as in ssh's ProxyJump."""
    address: Host | None = None
    """Where clients connect, if it differs from the SSH host."""
    runtime: Runtime | None = None
    """What runs the registry on this server, if it differs from registry.runtime."""
    image: ImageName | None = None
    """The container image on this server, if it differs from registry.image.

    An upgrade of some servers (--limit) writes it. The server pulls it, or has it already.
    """


class User(AnswersModel):
    """A user of the registry."""

    name: UserName
    """The user name for docker login."""
    access: Literal["push", "pull"] = "push"
    """push: can push, pull and delete; pull: can only pull."""
    repositories: tuple[RepositoryRule, ...] = ()
    """The repositories the user can access: team-a/app, or team-a/* for all below. Empty: all."""
    disabled: bool = False
    """Whether the user is blocked from logging in; the password is kept."""
    password: PasswordReference
    """A reference to the password, its hash, or {generate: true}."""

    @model_validator(mode="after")
    def _rules_fit_a_line(self) -> User:
        # nginx reads configuration words of at most 4096 bytes.
        if sum(len(rule) + 1 for rule in self.repositories) > _LONGEST_RULES:
            message = (
                f"the repositories are too long (maximum {_LONGEST_RULES} characters in total); "
                "use a prefix such as team-a/* to cover several"
            )
            raise reject("too_long", message, ("repositories",))
        return self


class Credentials(AnswersModel):
    """The users of the registry."""

    users: Annotated[tuple[User, ...], Field(min_length=1)]
    """At least one user."""

    @model_validator(mode="after")
    def _names_differ(self) -> Credentials:
        # nginx ignores case when it looks up access, so Ana and ana would share theirs.
        seen: dict[str, str] = {}
        for position, user in enumerate(self.users):
            before = seen.get(user.name.lower())
            if before is not None:
                message = (
                    f"the user {user.name} is listed more than once"
                    if before == user.name
                    else f"{user.name} differs from the user {before} only in case"
                )
                raise reject("duplicate", message, ("users", position, "name"))
            seen[user.name.lower()] = user.name
        return self


class FilesystemStorage(AnswersModel):
    """Images stored in a folder on the server."""

    path: ServerPath = "/var/lib/moorage/registry"
    """The folder on the server.

    It is created if it is missing, and belongs to the registry's own account.
    """
    maxthreads: Annotated[int, Field(ge=25, le=10000), WHOLE_NUMBER] = 100
    """How many files the registry opens at once."""


class S3Storage(AnswersModel):
    """Images stored in an S3 bucket or a compatible store."""

    bucket: Annotated[
        str,
        matching(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]", "3 to 63 letters, digits, . _ -"),
    ]
    """The name of an existing bucket."""
    region: Annotated[str, matching(r"[A-Za-z0-9-]+", "a region such as eu-central-1", 64)]
    """The bucket's region. For compatible stores often us-east-1."""
    accesskey: SecretReference | None = None
    """The access key ID. Empty: use the server's own role."""
    secretkey: SecretReference | None = None
    """The secret access key."""
    regionendpoint: Annotated[
        str, matching(r"https?://[A-Za-z0-9.\[\]:_-]+(/[A-Za-z0-9._~/-]*)?", "an http(s) URL")
    ] | None = None  # fmt: skip
    """Only for compatible stores such as MinIO, Ceph or R2."""
    forcepathstyle: bool | None = None
    """Path-style bucket addressing; on by default with an endpoint."""
    encrypt: bool = False
    """Whether the store encrypts objects at rest."""
    keyid: Text | None = None
    """The KMS key, with encrypt."""
    secure: bool = True
    """Whether the store is reached over HTTPS."""
    skipverify: bool = False
    """Whether to skip checking the store's certificate."""
    v4auth: bool = True
    """Whether requests are signed with version 4."""
    chunksize: Annotated[int, Field(ge=5 * 1024**2, le=5 * 1024**3), WHOLE_NUMBER] = 10 * 1024**2
    """The size of an upload's parts, in bytes (5 MiB at least)."""
    multipartcopychunksize: Annotated[int, Field(ge=5 * 1024**2), WHOLE_NUMBER] | None = None
    """The size of a copy's parts, in bytes."""
    multipartcopymaxconcurrency: Annotated[int, Field(ge=1, le=1000), WHOLE_NUMBER] | None = None
    """How many parts are copied at once."""
    multipartcopythresholdsize: Annotated[int, Field(ge=5 * 1024**2), WHOLE_NUMBER] | None = None
    """The object size from which copies are done in parts, in bytes."""
    rootdirectory: Annotated[
        str, matching(r"/?[A-Za-z0-9._/-]*", "a folder in the bucket: letters, digits . _ - /")
    ] | None = None  # fmt: skip
    """A prefix for all objects. Empty: the whole bucket."""
    storageclass: Annotated[str, matching(r"[A-Z_]+", "a class such as STANDARD", 64)] | None = None
    """The storage class."""
    objectacl: Annotated[str, matching(r"[a-z-]+", "an ACL such as private", 64)] | None = None
    """The canned ACL given to objects."""
    useragent: Text | None = None
    """The User-Agent sent to the store."""
    usedualstack: bool | None = None
    """IPv6 and IPv4 endpoints (registry 3)."""
    accelerate: bool | None = None
    """Transfer acceleration (registry 3)."""
    usefipsendpoint: bool | None = None
    """FIPS endpoints (registry 3)."""
    loglevel: Literal[
        "off", "debug", "debugwithsigning", "debugwithhttpbody",
        "debugwithrequestretries", "debugwithrequesterrors", "debugwitheventstreambody",
    ] | None = None  # fmt: skip
    """What the S3 client logs (registry 3)."""
    redirect: bool = False
    """Whether clients fetch blobs from the store directly; it must be reachable for them."""

    @model_validator(mode="after")
    def _keys_come_together(self) -> S3Storage:
        if (self.accesskey is None) != (self.secretkey is None):
            missing = "accesskey" if self.accesskey is None else "secretkey"
            message = "set both accesskey and secretkey, or neither"
            raise reject("incomplete", message, (missing,))
        return self


class Storage(AnswersModel):
    """Image storage."""

    driver: Literal["filesystem", "s3"] = "filesystem"
    """filesystem (one server only) or s3."""
    filesystem: FilesystemStorage = Field(default_factory=FilesystemStorage)
    """Used when the driver is filesystem."""
    s3: S3Storage | None = None
    """Used when the driver is s3."""

    @model_validator(mode="after")
    def _driver_is_described(self) -> Storage:
        if self.driver == "s3" and self.s3 is None:
            message = "the driver s3 needs a section s3 with bucket and region"
            raise reject("incomplete", message, ("s3",))
        return self


Moment = Literal["before_apply", "after_apply", "after_users"]


class Hook(AnswersModel):
    """Your own script, run on every server as root."""

    name: Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]*", "letters, digits and . _ -", 64)]
    """The name shown in plans and logs."""
    script: LocalPath
    """The script's file on this machine; its first line names the interpreter (#!/bin/sh)."""
    when: Annotated[tuple[Moment, ...], Field(min_length=1)]
    """Before an apply changes anything, after its checks, or after users are changed."""
    timeout: Annotated[int, Field(ge=1, le=3600), WHOLE_NUMBER] = 60
    """Timeout in seconds; a hook that runs longer is stopped and counts as failed."""
    on_failure: Literal["roll_back", "go_on"] = "roll_back"
    """Whether a failure rolls the run back or is only reported."""


Step = Literal["servers", "credentials", "storage", "dns", "ssl", "advanced"]


class Answers(AnswersModel):
    """The operator's answers for one deployment."""

    version: Literal[1] = 1
    """The version of this format."""
    registry: Registry
    """The registry itself."""
    servers: Annotated[tuple[Server, ...], Field(min_length=1)]
    """At least one server."""
    credentials: Credentials
    """The users of the registry."""
    storage: Storage = Field(default_factory=Storage)
    """Where images are stored."""
    retention: tuple[RetentionRule, ...] = ()
    """Which tags are removed; the first rule for a repository decides. Without one, all stay."""
    collect: Collect = Field(default_factory=Collect)
    """When the server frees space by itself, and what it spares."""
    dns: Dns = Field(default_factory=Dns)
    """Who creates the DNS records."""
    ssl: Ssl = Field(default_factory=Ssl)
    """How the registry gets its certificate."""
    rollout: Literal["rolling", "all_at_once"] = "rolling"
    """Whether several servers are switched one by one or all at once."""
    hooks: tuple[Hook, ...] = ()
    """Your own scripts, run on every server in this order."""
    ask: tuple[Step, ...] = ()
    """Steps the wizard opens even if they are filled in."""
    based_on: Annotated[int, Field(ge=0, le=2**53), WHOLE_NUMBER] | None = None
    """The deployment revision these answers are based on; written by Moorage on apply and save."""

    @model_validator(mode="after")
    def _servers_fit_the_storage(self) -> Answers:
        names = [server.host for server in self.servers]
        for position, name in enumerate(names):
            if name in names[:position]:
                # Messages and records identify a server by this name.
                message = (
                    f"the server {name} is listed more than once; for two servers behind one "
                    "address, give each its own alias in ~/.ssh/config"
                )
                raise reject("duplicate", message, ("servers", position, "host"))
        if self.storage.driver == "filesystem" and len(self.servers) > 1:
            message = storage_not_shared(len(self.servers))
            raise reject("storage_not_shared", message, ("storage", "driver"))
        if self.dns.failover is not None and len(self.servers) == 1:
            message = "failover needs at least two servers, but only one is listed"
            raise reject("contradiction", message, ("dns", "failover"))
        return self

    @model_validator(mode="after")
    def _schedule_fits_the_storage(self) -> Answers:
        if self.collect.when is not None and self.storage.driver != "filesystem":
            message = (
                "a timer can only collect images on the server's disk, and these are in S3; run "
                "'moorage images retain' and 'moorage images collect' from your machine instead"
            )
            raise reject("contradiction", message, ("collect", "when"), ("storage.driver",))
        return self

    @model_validator(mode="after")
    def _every_rule_has_an_effect(self, info: ValidationInfo) -> Answers:
        # What was applied earlier stays valid.
        for position in range(len(self.retention)) if info.context else ():
            covering = covered_by(self.retention, position)
            if covering is not None:
                message = (
                    "has no effect: the first rule that matches decides, and rule "
                    f"{covering + 1} above it matches all of its repositories"
                )
                path = ("retention", position, "repositories")
                raise reject("contradiction", message, path, (f"retention[{covering}]",))
        return self

    @model_validator(mode="after")
    def _hooks_differ(self) -> Answers:
        names = [hook.name for hook in self.hooks]
        for position, name in enumerate(names):
            if name in names[:position]:
                message = f"the hook {name} is listed more than once"
                raise reject("duplicate", message, ("hooks", position, "name"))
        return self

    def for_server(self, host: str) -> Answers:
        """Return the answers for one server, with its own runtime and image."""
        for server in self.servers:
            if server.host == host:
                registry = self.registry.on_server(server.runtime, server.image)
                return self.model_copy(update={"registry": registry})
        return self


def storage_not_shared(servers: int) -> str:
    """Return the message for several servers with the driver filesystem."""
    return (
        f"the driver filesystem stores images on one server, but {servers} are listed: an image "
        "pushed to one would be missing on the others. Use the driver s3, or one server"
    )
