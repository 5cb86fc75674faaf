"""The registry's config.yml, and the environment file with its secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from moorage.answers.model import Answers, S3Storage
from moorage.answers.secrets import Secret
from moorage.desired.layout import DEBUG_PORTS, SLOT_SCRIPT, Slot, socket_path
from moorage.desired.limits import memory_limit
from moorage.desired.state import Materials, Platform
from moorage.registry_keys import (
    Version,
    environment_to_settings,
    merged,
    plain_variables,
    redirects,
    registry_version,
    secret_variables,
)
from moorage.registry_keys.process_environment import is_process_variable

_SINCE_3 = ("forcepathstyle", "usedualstack", "accelerate", "usefipsendpoint", "loglevel")
_STAYS_HERE = {
    "version", "log", "storage", "http", "health", "catalog", "validation", "policy", "tags",
}  # fmt: skip
_NOT_IN_CONFIG = {"accesskey", "secretkey", "redirect"}

HEADER = """\
# Written by Moorage; changes here show up as drift, and the next apply overwrites them.
# Secrets are in /etc/moorage/registry/registry.env.
# Settings come from registry.settings, registry.environment and storage in the answers.
"""


class _Dumper(yaml.SafeDumper):
    """Also quotes texts that the registry's YAML parser would not read as text."""


# https://github.com/go-yaml/yaml/blob/v2.4.0/resolve.go: 08 and 1e3 are numbers there, y is true.
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|[-+]?0o[0-7_]+$"),
    list("-+.0123456789"),
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("[yYnN]$"), list("yYnN"))


def config(answers: Answers, slot: Slot) -> dict[str, Any]:
    """Return the registry's complete configuration for a slot, without secrets."""
    version = registry_version(answers)
    storage = _storage(answers, version)
    base: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": storage,
        "http": {
            "net": "unix",
            "addr": socket_path(slot),
            "draintimeout": "60s",
            "headers": {"X-Content-Type-Options": ["nosniff"]},
        },
        "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
    }
    variables = plain_variables(answers.registry.environment)
    added = merged(environment_to_settings(variables).settings, answers.registry.settings)
    if redirects(added):
        storage["redirect"] = {"disable": False}
    whole = merged(base, added)
    if has_debug_listener(whole):
        debug = {"addr": f"127.0.0.1:{DEBUG_PORTS[slot]}"}
        whole["http"] = merged(whole["http"], {"debug": debug})
    return whole


@dataclass(frozen=True)
class Mode:
    """The mode that its settings put the registry into.

    Attributes:
        is_cache: Whether it is a pull-through cache.
        upstream: The URL of the registry that it caches; empty if it is none, or a secret.
        is_read_only: Whether it refuses pushes and deletions.
        has_debug_listener: Whether it has a debug server, which requires no password.
    """

    is_cache: bool = False
    upstream: str = ""
    is_read_only: bool = False
    has_debug_listener: bool = False

    @property
    def takes_pushes(self) -> bool:
        """Whether images can be pushed to it."""
        return not (self.is_cache or self.is_read_only)


def mode_of(answers: Answers) -> Mode:
    """Return the mode that the answers put the registry into."""
    settings = config(answers, "blue")
    upstream = str(_at(settings, "proxy", "remoteurl") or "")
    hidden = {"REGISTRY_PROXY", "REGISTRY_PROXY_REMOTEURL"}.intersection(
        answers.registry.environment
    )
    return Mode(
        is_cache=bool(upstream or hidden),
        upstream=upstream,
        is_read_only=_at(settings, "storage", "maintenance", "readonly", "enabled") is True,
        has_debug_listener=has_debug_listener(settings),
    )


def _at(value: object, *path: str) -> object:
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def has_debug_listener(config: Mapping[str, Any]) -> bool:
    """Return whether a configuration enables the debug server, which requires no password."""
    # A configuration from a server's record can be anything.
    http = config["http"]
    return isinstance(http, Mapping) and "debug" in http


def has_cors(answers: Answers) -> bool:
    """Return whether the registry's settings let pages of other sites use it (CORS)."""
    headers = _at(config(answers, "blue"), "http", "headers")
    names = headers if isinstance(headers, Mapping) else ()
    return any(str(name).lower() == "access-control-allow-origin" for name in names)


def reaches_out(config: Mapping[str, Any], variables: Iterable[str]) -> bool:
    """Return whether the registry needs network access besides its socket.

    Settings that are not known to be local count as network access.

    Args:
        config: The complete configuration.
        variables: The names of the environment variables that the registry gets.
    """
    log, health = config["log"] or {}, config["health"] or {}
    return not (
        set(config) <= _STAYS_HERE
        and "filesystem" in config["storage"]
        and not has_debug_listener(config)
        and not log.get("hooks")
        and set(health) <= {"storagedriver", "file"}
        and all(_stays_here(name) for name in variables)
    )


def _stays_here(variable: str) -> bool:
    if is_process_variable(variable):
        return not variable.startswith("OTEL_")
    return variable == "REGISTRY_HTTP_SECRET"


def config_file(answers: Answers, slot: Slot) -> bytes:
    """Return config.yml for a slot."""
    text: str = yaml.dump(
        config(answers, slot),
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
    )
    return (HEADER + text).encode()


def slot_file(answers: Answers, materials: Materials, platform: Platform, slot: Slot) -> bytes:
    """Return slot.env: a slot's settings, for systemd's EnvironmentFile.

    Slots from versions without this file listen on TCP and do not need it.

    Args:
        answers: The operator's answers.
        materials: Secrets, hashes and certificates.
        platform: The server's platform.
        slot: The slot.
    """
    process = process_variables(answers)
    variables = [*_secret_values(answers, materials), *process]
    network = "host" if reaches_out(config(answers, slot), variables) else "none"
    values = {
        **process,
        "MOORAGE_SOCKET": socket_path(slot),
        "MOORAGE_WEB_GROUP": platform.web_group,
        "MOORAGE_NETWORK": network,
        # Read by the Go runtime.
        "GOMEMLIMIT": f"{memory_limit(platform.memory)}B",
    }
    if answers.storage.driver == "filesystem" and platform.store_id:
        values["MOORAGE_STORE"] = platform.store_id
        values["MOORAGE_STORE_FOLDER"] = answers.storage.filesystem.path
    header = f"# Written by Moorage. Settings of slot {slot}; see {SLOT_SCRIPT}.\n"
    return (header + _lines(values)).encode()


def environment_file(answers: Answers, materials: Materials) -> bytes:
    """Return registry.env: the secrets, for systemd's EnvironmentFile."""
    values = {name: each.reveal() for name, each in _secret_values(answers, materials).items()}
    process = {name: value for name, value in values.items() if is_process_variable(name)}
    settings = {name: value for name, value in values.items() if name not in process}
    written = secret_variables(settings, config(answers, "blue"), registry_version(answers))
    header = "# Written by Moorage. The registry's secrets, used by both slots.\n"
    return (header + _lines(dict(sorted({**written, **process}.items())))).encode()


def process_variables(answers: Answers) -> dict[str, str]:
    """Return the variables of the registry's process whose values are in the answers."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in answers.registry.environment.items()
        if is_process_variable(name) and isinstance(value, (str, int, bool))
    }


def _secret_values(answers: Answers, materials: Materials) -> dict[str, Secret]:
    """Return the environment variables with secrets."""
    values = {"REGISTRY_HTTP_SECRET": materials.http_secret}
    s3 = answers.storage.s3
    if answers.storage.driver == "s3" and s3 is not None and s3.accesskey is not None:
        values["REGISTRY_STORAGE_S3_ACCESSKEY"] = materials.secrets["storage.s3.accesskey"]
        values["REGISTRY_STORAGE_S3_SECRETKEY"] = materials.secrets["storage.s3.secretkey"]
    for name, value in answers.registry.environment.items():
        if not isinstance(value, (str, int, bool)):
            values[name] = materials.secrets[f"registry.environment.{name}"]
    return values


def read_http_secret(content: bytes) -> Secret | None:
    """Return the HTTP secret in registry.env, if Moorage wrote it.

    Args:
        content: The file from a server.
    """
    # Older versions wrote no inner quotes.
    line = rb'^REGISTRY_HTTP_SECRET="(?:\\")?([!#-\[\]-~]+)(?:\\")?"$'
    found = re.search(line, content, re.MULTILINE)
    return Secret(found[1].decode()) if found else None


def read_s3_keys(content: bytes) -> tuple[Secret, Secret] | None:
    """Return the access key and the secret key in registry.env; None if it has none.

    Args:
        content: The file from a server.
    """
    found = []
    for name in ("ACCESSKEY", "SECRETKEY"):
        line = rf'^REGISTRY_STORAGE_S3_{name}="((?:[^"\\]|\\.)*)"$'
        match = re.search(line, content.decode("utf-8", "replace"), re.MULTILINE)
        if match is None:
            return None
        value = re.sub(r'\\(["\\`$])', r"\1", match[1])
        try:
            text = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            return None
        if not isinstance(text, str) or not text:
            return None
        found.append(Secret(text))
    return found[0], found[1]


def _lines(values: Mapping[str, str]) -> str:
    """Format variables for systemd; no value has line breaks."""
    escaped = {name: re.sub(r'(["\\`$])', r"\\\1", value) for name, value in values.items()}
    return "".join(f'{name}="{value}"\n' for name, value in escaped.items())


def _storage(answers: Answers, version: Version) -> dict[str, Any]:
    driver: dict[str, Any]
    if answers.storage.driver == "s3" and answers.storage.s3 is not None:
        driver = {"s3": _s3(answers.storage.s3, version)}
        redirect = answers.storage.s3.redirect
    else:
        filesystem = answers.storage.filesystem
        driver = {
            "filesystem": {
                "rootdirectory": filesystem.path,
                "maxthreads": filesystem.maxthreads,
            }
        }
        redirect = False
    # No cache: it would report content that was deleted or moved to the trash, here or by another
    # server.
    storage: dict[str, Any] = {
        **driver,
        "delete": {"enabled": True},
        "redirect": {"disable": not redirect},
        "maintenance": {
            "uploadpurging": {"enabled": True, "age": "168h", "interval": "24h", "dryrun": False}
        },
    }
    return storage


def _s3(s3: S3Storage, version: Version) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in type(s3).model_fields:
        value = getattr(s3, name)
        if name in _NOT_IN_CONFIG or value is None:
            continue
        if name in _SINCE_3 and version == "2.8":
            continue
        values[name] = value
    if version != "2.8" and s3.forcepathstyle is None and s3.regionendpoint is not None:
        # 2.8 always did this with an endpoint, and S3-compatible stores expect it.
        values["forcepathstyle"] = True
    return values
