"""The registry's config.yml and the environment that holds its secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from moorage.answers.model import Answers, S3Storage
from moorage.answers.secrets import Secret
from moorage.desired.layout import DEBUG_PORTS, PORTS, Slot
from moorage.desired.state import Materials, RegistryVersion
from moorage.registry_keys import environment_to_settings, registry_version

_SINCE_3 = ("forcepathstyle", "usedualstack", "accelerate", "usefipsendpoint", "loglevel")
_NOT_IN_CONFIG = {"accesskey", "secretkey", "redirect"}

HEADER = """\
# Written by Moorage; changes made here are shown as drift and overwritten by the next apply.
# Secrets are not in here: they are in /etc/moorage/registry/registry.env.
# Settings come from the answers: registry.settings, registry.environment and storage.
"""


def config(answers: Answers, slot: Slot) -> dict[str, Any]:
    """Return the registry's complete configuration for a slot, without secrets."""
    version = registry_version(answers)
    storage = _storage(answers, version)
    base: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": storage,
        "http": {
            "addr": f"127.0.0.1:{PORTS[slot]}",
            "draintimeout": "60s",
            "headers": {"X-Content-Type-Options": ["nosniff"]},
            "debug": {
                "addr": f"127.0.0.1:{DEBUG_PORTS[slot]}",
                "prometheus": {"enabled": True, "path": "/metrics"},
            },
        },
        "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
    }
    from_environment = environment_to_settings(_plain(answers)).settings
    return _merged(_merged(base, from_environment), answers.registry.settings)


def config_file(answers: Answers, slot: Slot) -> bytes:
    """Return config.yml for a slot."""
    text: str = yaml.safe_dump(
        config(answers, slot), sort_keys=False, default_flow_style=False, allow_unicode=True
    )
    return (HEADER + text).encode()


def environment_file(answers: Answers, materials: Materials) -> bytes:
    """Return registry.env: the secrets, as systemd reads them (its EnvironmentFile)."""
    values = {"REGISTRY_HTTP_SECRET": materials.http_secret}
    s3 = answers.storage.s3
    if answers.storage.driver == "s3" and s3 is not None and s3.accesskey is not None:
        values["REGISTRY_STORAGE_S3_ACCESSKEY"] = materials.secrets["storage.s3.accesskey"]
        values["REGISTRY_STORAGE_S3_SECRETKEY"] = materials.secrets["storage.s3.secretkey"]
    for name, value in answers.registry.environment.items():
        if not isinstance(value, (str, int, bool)):
            values[name] = materials.secrets[f"registry.environment.{name}"]
    lines = [f"{name}={_quoted(value)}" for name, value in sorted(values.items())]
    header = "# Written by Moorage. The registry's secrets, for both slots.\n"
    return (header + "\n".join(lines) + "\n").encode()


def _plain(answers: Answers) -> Mapping[str, str]:
    """The environment variables whose values are not secrets, as YAML text."""
    plain = {}
    for name, value in answers.registry.environment.items():
        if isinstance(value, (str, int, bool)):
            plain[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return plain


def _quoted(secret: Secret) -> str:
    """Quote a value the way systemd unquotes it; it has no line breaks (checked on resolving)."""
    text = re.sub(r'(["\\`$])', r"\\\1", secret.reveal())
    return f'"{text}"'


def _storage(answers: Answers, version: RegistryVersion) -> dict[str, Any]:
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
    storage: dict[str, Any] = {
        **driver,
        "delete": {"enabled": True},
        "redirect": {"disable": not redirect},
        "maintenance": {
            "uploadpurging": {"enabled": True, "age": "168h", "interval": "24h", "dryrun": False}
        },
    }
    if len(answers.servers) == 1:
        # With several servers a delete on one would leave the others' caches wrong.
        storage["cache"] = {"blobdescriptor": "inmemory"}
    return storage


def _s3(s3: S3Storage, version: RegistryVersion) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in type(s3).model_fields:
        value = getattr(s3, name)
        if name in _NOT_IN_CONFIG or value is None:
            continue
        if name in _SINCE_3 and version != "3":
            continue
        values[name] = value
    if version == "3" and s3.forcepathstyle is None and s3.regionendpoint is not None:
        # 2.8 always did it with an endpoint, and that is what compatible stores expect.
        values["forcepathstyle"] = True
    return values


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(below, value)
        else:
            result[key] = value
    return result
