"""How a secret is written so that the registry, which reads YAML, uses it as it is."""

from __future__ import annotations

import math

import yaml

from moorage.registry_keys.check import shape_fault
from moorage.registry_keys.environment import Ambiguous, find, read_value
from moorage.registry_keys.tree import Key, Node


def value_for_registry(name: str, secret: str) -> tuple[str, str]:
    """Return what a variable has to hold, in printable ASCII, and what is wrong with the secret.

    A setting that is text gets the secret as a YAML string, whatever it looks like. For numbers,
    durations, lists and sections the secret is YAML itself, and has to be what the setting takes.

    Args:
        name: The variable's name.
        secret: What a reference led to. It is in no message.
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
    """Writes YAML in one line of ASCII, with all text in double quotes."""

    def ignore_aliases(self, data: object) -> bool:
        """Write what stands there twice twice."""
        return True


def _text(dumper: _OneLine, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_OneLine.add_representer(str, _text)


def _as_yaml(value: object) -> str:
    text: str = yaml.dump(
        value, Dumper=_OneLine, default_flow_style=True, width=math.inf, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...")
