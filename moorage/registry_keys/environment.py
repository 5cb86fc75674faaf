"""Translate ``REGISTRY_*`` environment variables into configuration.

A variable's name is a path in upper case, joined by ``_``; its value is YAML. Moorage translates
variables instead of passing them on, because in the registry ``REGISTRY_STORAGE=s3`` would replace
the whole storage section.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from moorage.answers import document
from moorage.errors import Problem
from moorage.registry_keys.tree import DRIVERS, TREE, Key, Node, Path, Section, Version, names

_PREFIX = "REGISTRY_"


class Ambiguous(ValueError):  # reads as what it says
    """A variable's name matches several paths; the message lists them."""


class Translated(NamedTuple):
    """The translation of environment variables.

    Attributes:
        settings: The configuration they describe, without secrets.
        secrets: The names of variables with secrets, each with its path in the configuration;
            they are given by reference.
        problems: The variables that cannot be translated.
    """

    settings: dict[str, Any]
    secrets: dict[str, str]
    problems: list[Problem]


def environment_to_settings(
    environment: Mapping[str, str], above: Path = ("registry", "environment")
) -> Translated:
    """Return the configuration that ``REGISTRY_*`` environment variables describe.

    Args:
        environment: Names and values; values are YAML. Values of secrets are not read.
        above: Their path in the answers, for problems.
    """
    settings: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    problems: list[Problem] = []
    # A whole section comes before its parts.
    for name, text in sorted(environment.items(), key=lambda item: item[0].count("_")):
        where = (*above, name)
        try:
            path, way = find(name)
        except Ambiguous as error:
            problems.append(Problem(where, str(error), fields=("registry.settings",)))
            continue
        except KeyError:
            near = difflib.get_close_matches(name, list(names()), n=1, cutoff=0.6)
            hint = (
                f"did you mean {near[0]}?" if near else "its names are in the registry's reference"
            )
            problems.append(Problem(where, f"is not a registry setting; {hint}"))
            continue
        node = way[-1]
        if isinstance(node, Key) and node.is_secret:
            secrets[name] = Problem(path, "").dotted
            continue
        value, message = read_value(text, node, path)
        if not message and not _put(settings, path, value):
            message = "contradicts another variable that sets a part of the same section"
        if message:
            problems.append(Problem(where, message))
    whole = {key: _listed(value) for key, value in settings.items()}
    return Translated(whole, secrets, problems)


def find(name: str) -> tuple[Path, tuple[Node, ...]]:
    """Return the path that a variable sets, and the nodes on the way to it.

    Args:
        name: The variable's name.

    Raises:
        KeyError: The registry has no such setting.
        Ambiguous: It matches several.
    """
    if not name.startswith(_PREFIX) or name == _PREFIX:
        raise KeyError(name)
    found = list(_match(TREE, name.removeprefix(_PREFIX)))
    if not found:
        raise KeyError(name)
    if len(found) > 1:
        paths = " or ".join(sorted(Problem(path, "").dotted for path, _ in found))
        raise Ambiguous(f"could be {paths}; use a setting instead")
    return found[0]


def variable(path: Path) -> str:
    """Return the name of the variable that sets a path, as the registry's reference has it."""
    return _PREFIX + "_".join(str(part).upper() for part in path)


def registry_variable(path: Path, version: Version) -> str:
    """Return the name of the variable from which the registry itself reads a path.

    It is made of the names in the registry's code, not those in its configuration.
    """
    words: list[str] = []
    node: Node | None = TREE
    for part in path:
        # The name of a header is no key, and is kept as it is.
        is_header = isinstance(node, Key) and node.kind == "headers"
        node = node.keys.get(str(part)) if isinstance(node, Section) else None
        name = node.field if node is not None and node.field else str(part)
        words.append(name if is_header else name.upper())
    if version == "3.0" and path[:1] == ("redis",) and path[1:2] not in ((), ("tls",)):
        words.insert(1, "OPTIONS")
    return _PREFIX + "_".join(words)


def plain_variables(environment: Mapping[str, object]) -> dict[str, str]:
    """Return the registry's variables whose values are in the answers, as YAML text."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in environment.items()
        if name.startswith(_PREFIX) and isinstance(value, (str, int, bool))
    }


def _match(node: Node, rest: str) -> Iterator[tuple[Path, tuple[Node, ...]]]:
    """Yield the paths below a node that match the rest of a variable's name."""
    if not rest:
        yield (), ()
    elif isinstance(node, Key):
        yield from _match_inside(node, rest)
    elif node.is_list:
        index, _, below = rest.partition("_")
        if index.isdigit() and len(index) < 4:
            item = Section(node.keys)
            for path, way in _match(item, below):
                yield (int(index), *path), (item, *way)
    else:
        for key, child in node.keys.items():
            # The documented name, and the one that the registry itself reads.
            for word in dict.fromkeys((key.upper(), child.field.upper() or key.upper())):
                if rest == word or rest.startswith(f"{word}_"):
                    for path, way in _match(child, rest[len(word) + 1 :]):
                        yield (key, *path), (child, *way)


def _match_inside(node: Key, rest: str) -> Iterator[tuple[Path, tuple[Node, ...]]]:
    """Match the rest of a name below a key with free-form keys."""
    if node.kind == "texts" and rest.isdigit() and len(rest) < 4:
        yield (int(rest),), (Key("text"),)
    elif node.kind == "headers":
        yield (rest,), (Key("texts"),)
    elif node.kind == "map":
        inner = Key("free", is_secret=node.is_secret)
        yield tuple(rest.lower().split("_")), (inner,)


def read_value(text: str, node: Node, path: Path) -> tuple[Any, str]:
    """Return a variable's value, and why it is invalid.

    Args:
        text: The value as written.
        node: The setting.
        path: The setting's path.
    """
    if path == ("storage",) and text.strip() in DRIVERS:
        return {text.strip(): {}}, ""
    if isinstance(node, Key) and node.kind in {"text", "duration"}:
        read = document.read(text).value
        return read if isinstance(read, str) else text, ""
    if not text.strip():
        return None, "is empty; leave it out for the default"
    read = document.read(text)
    if read.problems:
        return None, "is not YAML; text with special characters goes in quotes inside the value"
    if path == ("storage",) and isinstance(read.value, str):
        return None, f"is not a storage driver; expected one of {', '.join(DRIVERS)}"
    return read.value, ""


def _put(settings: dict[str, Any], path: Path, value: Any) -> bool:
    """Set the value at a path; lists are mappings by index until they are complete."""
    here: dict[Any, Any] = settings
    for part in path[:-1]:
        below = here.setdefault(part, {})
        if isinstance(below, list):
            below = here[part] = dict(enumerate(below))
        if not isinstance(below, dict):
            return False
        here = below
    last = path[-1]
    if isinstance(here.get(last), dict) and isinstance(value, dict):
        here[last] = {**here[last], **value}
    else:
        here[last] = value
    return True


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(isinstance(key, int) for key in value):
        return [_listed(value[key]) for key in sorted(value)]
    return {key: _listed(below) for key, below in value.items()}
