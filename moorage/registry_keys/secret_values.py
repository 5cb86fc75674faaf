"""The environment variables that give the registry its secrets.

The registry parses their values as YAML, so secrets are quoted. Version 2.8 cannot set an item of a
list, so a list with a secret is given whole; so is a section, because its variable replaces it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import yaml

from moorage.registry_keys.check import shape_fault
from moorage.registry_keys.contradictions import merged
from moorage.registry_keys.environment import Ambiguous, find, read_value, registry_variable
from moorage.registry_keys.tree import Key, Node, Path, Version


def secret_fault(name: str, secret: str) -> str:
    """Return why a secret is invalid for a variable, or empty. The text never contains the secret.

    Args:
        name: The variable's name.
        secret: The secret.
    """
    try:
        path, way = find(name)
    except (KeyError, Ambiguous):
        return ""
    return _read(secret, way[-1], path)[1]


def secret_variables(
    secrets: Mapping[str, str], config: Mapping[str, Any], version: Version
) -> dict[str, str]:
    """Return the variables that set secrets in a configuration, with values in printable ASCII.

    Args:
        secrets: The secrets by the names of their variables, documented or the registry's own.
        config: The complete configuration, without them.
        version: The registry's version.
    """
    variables: dict[str, str] = {}
    wholes: dict[Path, Any] = {}
    for name, secret in sorted(secrets.items(), key=lambda item: item[0].count("_")):
        try:
            path, way = find(name)
        except (KeyError, Ambiguous):
            variables[name] = _as_yaml(secret)
            continue
        value, fault = _read(secret, way[-1], path)
        carrier = _carrier(path)
        if fault or (carrier == path and not isinstance(value, dict)):
            variables[registry_variable(path, version)] = _as_yaml(secret if fault else value)
            continue
        whole = wholes.setdefault(carrier, copy.deepcopy(_at(config, carrier)))
        wholes[carrier] = _put(whole, path[len(carrier) :], value)
    for carrier, whole in wholes.items():
        variables[registry_variable(carrier, version)] = _as_yaml(whole)
    return variables


def _read(secret: str, node: Node, path: Path) -> tuple[Any, str]:
    """Return the value of a secret, and why it is invalid.

    Text settings get the secret as it is. For numbers, durations, lists and sections the secret
    itself is YAML, and has to fit the setting.
    """
    if isinstance(node, Key) and node.kind in {"text", "free"} and not node.choices:
        return secret, ""
    value, fault = read_value(secret, node, path)
    return value, fault or shape_fault(value, node, path)


def _carrier(path: Path) -> Path:
    """Return the part of a path that one variable can set: the first list, if it is in one."""
    indexes = [place for place, part in enumerate(path) if isinstance(part, int)]
    return path[: indexes[0]] if indexes else path


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _put(whole: Any, path: Path, value: Any) -> Any:
    """Return a value with another one set at a path in it; sections are merged."""
    if not path:
        both = isinstance(whole, Mapping) and isinstance(value, Mapping)
        return merged(whole, value) if both else value
    first, rest = path[0], path[1:]
    if isinstance(first, int):
        items = list(whole) if isinstance(whole, list) else []
        items += [{} for _ in range(first + 1 - len(items))]
        items[first] = _put(items[first], rest, value)
        return items
    section = dict(whole) if isinstance(whole, Mapping) else {}
    return section | {first: _put(section.get(first), rest, value)}


class _OneLine(yaml.SafeDumper):
    """Writes YAML as one line of ASCII, with all text in double quotes."""

    def ignore_aliases(self, data: object) -> bool:
        """Write repeated values in full."""
        return True


def _text(dumper: _OneLine, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_OneLine.add_representer(str, _text)


def _as_yaml(value: object) -> str:
    text: str = yaml.dump(
        value, Dumper=_OneLine, default_flow_style=True, width=math.inf, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...")
