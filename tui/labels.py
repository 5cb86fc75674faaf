"""How the wizard names the fields of the answers, and errors that point to them. No Textual here.

Errors carry the fields they are about as dotted paths (``dns.nameservers``). The wizard shows the
labels of its fields instead: “Name servers” (DNS).
"""

from __future__ import annotations

import re

from moorage.errors import AnswersError, MoorageError, Note, Problem, ServersFailed
from tui.document.paths import parse_path
from tui.document.steps import step_at

LABELS = {
    "registry.domain": "Registry name",
    "servers[].host": "Server",
    "servers[].user": "User",
    "servers[].port": "Port",
    "servers[].key": "Key file",
    "servers[].jump": "Jump host",
    "servers[].address": "Public address",
    "servers[].password": "password",
    "servers[].passphrase": "passphrase",
    "servers[].sudo_password": "sudo password",
    "credentials.users[].name": "Name",
    "credentials.users[].access": "Access",
    "credentials.users[].password": "Password",
    "storage.filesystem.path": "Folder",
    "storage.s3.bucket": "Bucket",
    "storage.s3.region": "Region",
    "storage.s3.regionendpoint": "Endpoint",
    "storage.s3.accesskey": "Access key",
    "storage.s3.secretkey": "Secret key",
    "storage.s3.rootdirectory": "Folder in it",
    "dns.rfc2136.server": "Name server",
    "dns.rfc2136.port": "Port",
    "dns.rfc2136.key_name": "Key name",
    "dns.rfc2136.key": "Key",
    "dns.rfc2136.algorithm": "Algorithm",
    "dns.rfc2136": "My name server",
    "dns.route53.zone_id": "Zone id",
    "dns.route53.accesskey": "Access key",
    "dns.route53.secretkey": "Secret key",
    "dns.route53.profile": "Profile",
    "dns.route53": "Amazon Route 53",
    "dns.lexicon.name": "Provider",
    "dns.lexicon": "Another provider",
    "dns.target": "Leads to",
    "dns.ttl": "TTL",
    "dns.zone": "Zone",
    "dns.nameservers": "Name servers",
    "ssl.private_ca.name": "Name of the CA",
    "ssl.private_ca.passphrase": "Passphrase",
    "ssl.files.certificate": "Certificate",
    "ssl.files.key": "Key",
    "ssl.files": "Files I have",
    "ssl.hsts": "HSTS seconds",
    "ssl.trusted_proxies": "Load balancers",
    "ssl.acme.email": "Email",
    "ssl.acme.directory": "Directory",
    "ssl.acme.ca_file": "Its CA file",
    "ssl.acme.external_account.kid": "Account key id",
    "ssl.acme.external_account.hmac": "Account HMAC",
    "registry.image_archive": "Image archive",
    "registry.image": "Image",
    "registry.runtime": "What runs the registry",
    "registry.redirect_http": "Port 80 sends people on to HTTPS",
    "registry.proxy_protocol": "A load balancer sends the PROXY protocol",
    "dns.failover": "Failover",
    "registry.port": "Port",
    "registry.listen": "Listen on",
    "registry.settings": "Registry settings",
    "registry.environment": "Registry environment",
    "hooks[].name": "Name",
    "hooks[].script": "Script",
    "hooks[].when": "It runs",
    "hooks[].on_failure": "When it fails",
    "hooks[].timeout": "Time limit",
}
"""The label of the field for each place; [] stands for any number."""

_THINGS = {"servers": "Server", "credentials": "User", "hooks": "Hook"}
"""What one of each list is called."""

_LISTS = {"servers": "Servers", "credentials.users": "Users", "hooks": "Hooks"}
"""What all of them together are called."""

_ASKED_FOR = {"servers[].password", "servers[].passphrase", "servers[].sudo_password"}
"""Secrets without a field: the wizard asks for them when a server needs them."""

_OPTIONS = {
    "sudo_password_missing": "Enter it when the wizard asks for it.",
    "transfers_in_the_way": "E in Review cuts them off instead.",
}
"""What the wizard offers besides an error's or a note's own advice, by code."""


def label_of(path: tuple[str | int, ...]) -> str:
    """Return what the wizard calls a place: ``Server 2, Key file``; empty when it has no field."""
    plain = _plain(Problem(path, "").dotted)
    label = LABELS.get(plain.removesuffix("[]"))
    if label is None and len(path) > 3 and path[:3] == ("dns", "lexicon", "options"):
        label = str(path[3]).replace("_", " ")
    if label is None and len(path) > 4 and path[:4] == ("ssl", "acme", "dns", "credentials"):
        label = str(path[4]).replace("_", " ").capitalize()
    number = next((part + 1 for part in path if isinstance(part, int)), 0)
    thing = _THINGS.get(str(path[0])) if path else None
    if thing and number:
        return f"{thing} {number}, {label}" if label else f"{thing} {number}"
    return label or _LISTS.get(plain, "")


def field_name(dotted: str) -> str:
    """Return how the wizard calls a field: ``“Name servers” (DNS)``; empty without a field.

    Args:
        dotted: Its path in the answers; ``[]`` stands for any item of a list.
    """
    if _plain(dotted) in _ASKED_FOR:
        return ""
    path = parse_path(dotted.replace("[]", ""))
    step = step_at(path)
    label = LABELS.get(dotted) or label_of(path)
    return f"“{label}” ({step.label})" if label else f"the step {step.label}"


def explain(error: MoorageError | Note) -> str:
    """Return what an error or a note says and what to do, without the server's name.

    Args:
        error: The error or note.
    """
    return " ".join(filter(None, (error.explain(field_name), _OPTIONS.get(error.code, ""))))


def guide(error: MoorageError) -> str:
    """Return what to do about an error; may be empty.

    Args:
        error: The error.
    """
    return " ".join(filter(None, (error.guide(field_name), _OPTIONS.get(error.code, ""))))


def describe_error(error: MoorageError) -> str:
    """Return an error as text, a line for each problem or server in it.

    Args:
        error: The error.
    """
    if isinstance(error, AnswersError):
        return "\n".join(describe_problem(each) for each in error.problems)
    if isinstance(error, ServersFailed):
        return "\n".join(describe_error(each) for each in error.errors)
    return f"{error.server}: {explain(error)}" if error.server else explain(error)


def describe_problem(problem: Problem) -> str:
    """Return a problem with the label of its field: ``Name servers: ...``.

    Args:
        problem: What is wrong in the answers.
    """
    place = label_of(problem.path) or problem.dotted
    text = problem.explain(field_name)
    return f"{place}: {text}" if place else text


def text_of(problem: Problem | None) -> str:
    """Return what is wrong for the field it is shown beside; empty when nothing is.

    Args:
        problem: What is wrong with the field, or None.
    """
    return problem.explain(field_name) if problem is not None else ""


def _plain(dotted: str) -> str:
    return re.sub(r"\[\d+\]", "[]", dotted)
