"""What the wizard calls the places of an answers file. No Textual in here.

The engine speaks to both faces, and says where in the answers something stands:
``dns.nameservers``. The wizard has a field for it, and says what that is called.
"""

from __future__ import annotations

import re

from moorage.errors import Problem
from tui.document.paths import parse_path
from tui.document.steps import step_of

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

_SAID = {
    "ssl.acme.challenge: dns-01": "“By DNS” (SSL)",
    "registry.redirect_http: false": "“Port 80 sends people on to HTTPS” off (Advanced)",
    "registry.proxy_protocol": "“A load balancer sends the PROXY protocol” (Advanced)",
    "dns.record: address": "“A and AAAA records” (DNS)",
    "ssl.mode: files": "“Files I have” (SSL)",
    "ssl.mode is acme": "“ACME” (SSL)",
    "ssl.mode": "the certificate's source (SSL)",
    "registry.runtime": "“What runs the registry” (Advanced)",
    "dns.lexicon.options": "the provider's fields (DNS)",
}
"""What is no field's name alone, in words."""

_NO_FIELDS = {
    "Check sudo_password: sudo asks for": "Wanted:",
    "Give sudo_password, or allow": "Type it when it is asked for, or allow",
    "with --end-transfers it cuts them off": "E here cuts them off instead",
    "or end them with --end-transfers": "or end them with E in Review",
}
"""Advice on what is done by a key, or asked for when it is needed, and is in no field."""
_SECTIONS = "registry|servers|credentials|storage|dns|ssl|hooks"
_PLACE = re.compile(
    f"(?:{'|'.join(re.escape(each) for each in sorted(_SAID, key=len, reverse=True))})"
    rf"(?![a-z0-9_]|\.[a-z])|\b(?:{_SECTIONS})(?:\[\d*\])?(?:\.[a-z0-9_]+(?:\[\d*\])?)+"
)


def label_of(path: tuple[str | int, ...]) -> str:
    """Return what the wizard calls a place: ``Server 2, Key file``; empty when it has no field."""
    plain = re.sub(r"\[\d+\]", "[]", Problem(path, "").dotted)
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


def in_words(text: str) -> str:
    """Return a text of the engine's with the wizard's names for places in an answers file."""
    for said, words in _NO_FIELDS.items():
        text = text.replace(said, words)
    return _PLACE.sub(lambda match: _SAID.get(match.group()) or _quoted(match.group()), text)


def problem_in_words(problem: Problem) -> str:
    """Return a problem with the wizard's name for where it is."""
    label = label_of(problem.path)
    place = "" if not problem.path else f"{label or problem.dotted}: "
    return f"{place}{in_words(problem.message)}"


def _quoted(dotted: str) -> str:
    path = parse_path(dotted.replace("[]", ""))
    label = LABELS.get(dotted) or label_of(path)
    return f"“{label}” ({step_of(Problem(path, '')).label})" if label else dotted
