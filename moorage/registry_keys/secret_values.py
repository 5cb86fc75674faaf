"""Quote secrets so that the registry, which parses values as YAML, uses them unchanged."""

from __future__ import annotations

import math

import yaml

from moorage.registry_keys.check import shape_fault
from moorage.registry_keys.environment import Ambiguous, find, read_value
from moorage.registry_keys.tree import Key, Node


def value_for_registry(name: str, secret: str) -> tuple[str, str]:
    """Return a variable's value in printable ASCII, and why the secret is invalid.

    Text settings get the secret as a YAML string. For numbers, durations, lists and sections the
    secret itself is YAML, and has to fit the setting.

    Args:
        name: The variable's name.
        secret: The secret. Messages never contain it.
    """
    try:
        path, way = find(name)
    except (KeyError, Ambiguous):
        return _as_yaml(secret), ""
    node: Node = way[-1]
    if isinstance(node, Key) and node.kind in {"text", "free"} and not node.choices:
        return _as_yaml(secret), ""
    value, fault = read_value(secret, node, path)
    fault = fault or shape_fault(value, node, path)
    return _as_yaml(secret if fault else value), fault


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
