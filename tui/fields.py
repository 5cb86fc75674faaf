"""The texts of the wizard's fields: labels, examples and defaults.

Help and defaults come from the answers: the first line below the field in
``moorage/answers/model.py``, ``model_dns.py`` or ``ssl.py``. Does not import Textual.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldText:
    """The texts of a field.

    Attributes:
        label: The field's name.
        example: A valid value, shown in the empty field.
        default: The meaning of an empty field, if the answers' own default does not say it.
        has_help: Whether the field has a line of help; False if the label is enough.
    """

    label: str
    example: str = ""
    default: str = ""
    has_help: bool = True


_DEFAULT = "default: "
_SSH_CONFIG = "as in ~/.ssh/config"

FIELDS = {
    "registry.domain": FieldText("Registry name", "registry.example.com"),
    "servers[].host": FieldText("Server", "203.0.113.10"),
    "servers[].user": FieldText("User", default=_SSH_CONFIG),
    "servers[].port": FieldText("Port", default=f"{_SSH_CONFIG}, or 22", has_help=False),
    "servers[].key": FieldText("Key file", "~/.ssh/id_ed25519"),
    "servers[].jump": FieldText("Jump host", "user@bastion.example.com", has_help=False),
    "servers[].address": FieldText("Public address", default="the address above"),
    "servers[].password": FieldText("password", has_help=False),
    "servers[].passphrase": FieldText("passphrase", has_help=False),
    "servers[].sudo_password": FieldText("sudo password", has_help=False),
    "credentials.users[].name": FieldText("Name", "ci"),
    "credentials.users[].access": FieldText("Access", has_help=False),
    "credentials.users[].password": FieldText("Password", has_help=False),
    "storage.filesystem.path": FieldText("Folder"),
    "storage.s3.bucket": FieldText("Bucket", "my-images"),
    "storage.s3.region": FieldText("Region", "eu-central-1"),
    "storage.s3.regionendpoint": FieldText("Endpoint", "https://s3.example.com"),
    "storage.s3.accesskey": FieldText("Access key"),
    "storage.s3.secretkey": FieldText("Secret key", has_help=False),
    "storage.s3.rootdirectory": FieldText("Prefix"),
    "storage.s3.encrypt": FieldText("Encrypt objects at rest", has_help=False),
    "storage.s3.redirect": FieldText(
        "Clients fetch layers directly from the bucket", has_help=False
    ),
    "retention[].repositories": FieldText("Repositories", "team-a/*, team-b/app"),
    "retention[].keep": FieldText("What stays", has_help=False),
    "retention[].keep.last": FieldText("Last images", "10"),
    "retention[].keep.tags": FieldText("Tags", "v*, release-*"),
    "retention[].keep.pushed_within": FieldText("Pushed within", "30d"),
    "retention[].keep.pulled_within": FieldText("Pulled within", "90d"),
    "collect.when": FieldText("Schedule", "Sun 03:00"),
    "collect.grace": FieldText("Grace period"),
    "collect.young": FieldText("Spare pushes of"),
    "collect.trash": FieldText("Keep in trash"),
    "collect.untagged": FieldText("Spare pulls of"),
    "dns.rfc2136": FieldText("My name server", has_help=False),
    "dns.rfc2136.server": FieldText("Name server", "192.0.2.53"),
    "dns.rfc2136.port": FieldText("Port", has_help=False),
    "dns.rfc2136.key_name": FieldText("Key name", "moorage"),
    "dns.rfc2136.key": FieldText("Key"),
    "dns.rfc2136.algorithm": FieldText("Algorithm", has_help=False),
    "dns.route53": FieldText("Amazon Route 53", has_help=False),
    "dns.route53.zone_id": FieldText("Zone ID", "Z0123456789ABC"),
    "dns.route53.accesskey": FieldText("Access key"),
    "dns.route53.secretkey": FieldText("Secret key", has_help=False),
    "dns.route53.profile": FieldText("Profile"),
    "dns.lexicon": FieldText("Another provider", has_help=False),
    "dns.lexicon.name": FieldText("Provider", "cloudflare"),
    "dns.target": FieldText("CNAME target", "lb.example.net"),
    "dns.ttl": FieldText("TTL", default="300, or 60 with failover"),
    "dns.zone": FieldText("Zone", "example.com"),
    "dns.nameservers": FieldText("Name servers", "192.0.2.53, 192.0.2.54"),
    "dns.failover": FieldText("Failover", has_help=False),
    "ssl.private_ca.name": FieldText("Name of the CA"),
    "ssl.private_ca.passphrase": FieldText("Passphrase"),
    "ssl.files": FieldText("Files I have", has_help=False),
    "ssl.files.certificate": FieldText("Certificate", "~/fullchain.pem"),
    "ssl.files.key": FieldText("Key", "~/privkey.pem"),
    "ssl.hsts": FieldText("HSTS seconds", "63072000"),
    "ssl.trusted_proxies": FieldText("Load balancers", "10.0.0.0/8, 192.0.2.7"),
    "ssl.acme.email": FieldText("Email", "ops@example.com"),
    "ssl.acme.staging": FieldText("Let's Encrypt staging; clients do not trust it", has_help=False),
    "ssl.acme.directory": FieldText("Directory", "https://ca.example.com/acme/directory"),
    "ssl.acme.ca_file": FieldText("Its CA file", "~/company-root.pem"),
    "ssl.acme.external_account.kid": FieldText("Account key ID"),
    "ssl.acme.external_account.hmac": FieldText("Account HMAC"),
    "registry.runtime": FieldText("Registry runs in", has_help=False),
    "registry.image": FieldText("Image", has_help=False),
    "registry.image_login.user": FieldText("User for pulling it", has_help=False),
    "registry.image_login.password": FieldText("Password for pulling it", has_help=False),
    "registry.image_archive": FieldText("Image archive", "~/registry.tar"),
    "registry.port": FieldText("Port"),
    "registry.listen": FieldText("Listen on", "127.0.0.1"),
    "registry.proxy_protocol": FieldText(
        "The load balancer sends the PROXY protocol", has_help=False
    ),
    "registry.redirect_http": FieldText("Redirect HTTP (port 80) to HTTPS", has_help=False),
    "registry.settings": FieldText("Registry settings", "log: {level: debug}", has_help=False),
    "registry.environment": FieldText(
        "Registry environment", "REGISTRY_LOG_LEVEL: debug", has_help=False
    ),
    "hooks[].name": FieldText("Name", "tell-the-team"),
    "hooks[].script": FieldText("Script", "hooks/tell-the-team.sh"),
    "hooks[].when": FieldText("It runs", has_help=False),
    "hooks[].on_failure": FieldText("When it fails", has_help=False),
    "hooks[].timeout": FieldText("Time limit"),
}
"""Each field by its path in the answers, in the order of the forms; [] stands for any number."""


def plain(path: str) -> str:
    """Return a path as :data:`FIELDS` has it: ``servers[].host`` for ``servers[2].host``."""
    return re.sub(r"\[\d+\]", "[]", path)


def label_at(path: str) -> str:
    """Return the label of a field; empty when :data:`FIELDS` has no such path."""
    field = FIELDS.get(path)
    return field.label if field is not None else ""


def help_of(path: str) -> str:
    """Return a field's line of help, without a full stop, and without a default shown in it."""
    from moorage.answers.describe import summary

    name = plain(path)
    text = summary(name) if FIELDS[name].has_help else ""
    if placeholder_of(path).startswith(_DEFAULT):
        text = text.partition(" Default: ")[0]
    return text.removesuffix(".")


def explanation_of(path: str) -> str:
    """Return all that the answers say about a field, for the help."""
    from moorage.answers.describe import description

    return description(plain(path))


def placeholder_of(path: str) -> str:
    """Return the text of an empty field: its default, or an example."""
    from moorage.answers.describe import default

    text = FIELDS[plain(path)]
    means = text.default or default(plain(path))
    return f"{_DEFAULT}{means}" if means else f"e.g. {text.example}" if text.example else ""
