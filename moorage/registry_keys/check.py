"""Check the operator's additions to the registry's configuration."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moorage.answers.model import Answers
from moorage.errors import Problem
from moorage.registry_keys.environment import (
    Ambiguous,
    find,
    read_value,
    variable,
)
from moorage.registry_keys.tree import TREE, Key, Node, Path, Section, Version, names

SETTINGS = ("registry", "settings")
ENVIRONMENT = ("registry", "environment")

# Names of headers and options whose values are secrets, anywhere in the configuration.
_SECRET_NAME = re.compile(
    r"authorization|passw(or)?d|secret|token|api-?key|account-?key|access-?key|cookie", re.I
)
_DURATION = re.compile(r"([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_OWN_FIELD = "the answers have a field of its own for it"
_LOGIN_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/@\s]*:[^/@\s]*@", re.I)


def check_registry(answers: Answers, version: Version | None) -> list[Problem]:
    """Return the problems in registry.settings and registry.environment.

    Args:
        answers: What the operator decided.
        version: The registry's version; None when it may be either.
    """
    return check_settings(answers.registry.settings, version) + check_environment(
        answers.registry.environment, version
    )


def check_settings(
    settings: Mapping[str, Any], version: Version | None, above: Path = SETTINGS
) -> list[Problem]:
    """Return the problems in a part of the registry's configuration.

    Args:
        settings: The part, starting at the top level.
        version: The registry's version; None when it may be either.
        above: The part's path in the answers.
    """
    checker = _Checker(version, above)
    checker.section(settings, TREE, ())
    return checker.problems


def check_environment(
    environment: Mapping[str, object], version: Version | None, above: Path = ENVIRONMENT
) -> list[Problem]:
    """Return the problems in ``REGISTRY_*`` environment variables.

    Args:
        environment: Names and values: text, a number, true or false, or a secret reference.
        version: The registry's version; None when it may be either.
        above: Their path in the answers.
    """
    problems: list[Problem] = []
    for name, value in environment.items():
        where = (*above, name)
        try:
            path, way = find(name)
        except Ambiguous as error:
            problems.append(Problem(where, str(error), fields=("registry.settings",)))
            continue
        except KeyError:
            problems.append(Problem(where, f"is not a registry setting; {_nearest(name)}"))
            continue
        owned = next((node.owned for node in way if node.owned), "")
        other = next((node.only for node in way if node.only not in (None, version)), None)
        if owned or path == ("storage",):
            sentence, fields = _owner(path, owned)
            problems.append(Problem(where, f"is not set here: {sentence}", fields=fields))
        elif version is not None and other is not None:
            problems.append(Problem(where, _only_in(other, version)))
        elif isinstance(value, (str, int, bool)):
            problems += _check_plain(value, path, way[-1], version, where)
    return problems


def shape_fault(value: Any, node: Node, path: Path) -> str:
    """Return why a value does not fit a setting, or empty. The text never contains the value.

    Args:
        value: The value; it can contain secrets.
        node: The setting.
        path: The setting's path.
    """
    checker = _Checker(None, (), may_hold_secrets=True)
    checker.check(value, node, path)
    return checker.problems[0].message if checker.problems else ""


def _check_plain(
    value: str | int | bool, path: Path, node: Node, version: Version | None, where: Path
) -> list[Problem]:
    """Check a variable whose value is in the answers."""
    if isinstance(node, Key) and node.is_secret:
        message = (
            "is a secret and must not be in plain text; give it by reference, such as {env: NAME}"
        )
        return [Problem(where, message)]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    read, message = read_value(text, node, path)
    if message:
        return [Problem(where, message)]
    checker = _Checker(
        version, where, advice="give the whole value by reference, such as {env: NAME}"
    )
    checker.check(read, node, path)
    # Where in the value it is wrong is below the variable's name, which is all the answers have.
    return [
        Problem(
            where,
            _below(problem.path[len(where) + len(path) :]) + problem.message,
            code=problem.code,
            fields=problem.fields,
        )
        for problem in checker.problems
    ]


def _below(path: Path) -> str:
    return f"{Problem(path, '').dotted}: " if path else ""


def _owner(path: Path, owned: str) -> tuple[str, tuple[str, ...]]:
    """Return why a setting is not the operator's, and the field that the answers have for it."""
    if path[:2] == ("storage", "s3") and len(path) == 3:
        return _OWN_FIELD, (f"storage.s3.{path[2]}",)
    if path[:2] == ("storage", "filesystem") and len(path) == 3:
        field = "path" if path[2] == "rootdirectory" else path[2]
        return _OWN_FIELD, (f"storage.filesystem.{field}",)
    if path == ("storage",):
        return _OWN_FIELD, ("storage.driver",)
    return owned, ()


def _only_in(only: Version, version: Version) -> str:
    return f"exists only in registry {only}; this is {version}"


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, list(names()), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else "see the registry's configuration reference"


def _nearest_key(key: str, known: Iterable[str]) -> str:
    keys = sorted(known)
    near = difflib.get_close_matches(key.lower(), keys, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"expected one of {', '.join(keys)}" if keys else "there are no keys here"


class _Checker:
    """Compares values with the tree and collects problems."""

    def __init__(
        self,
        version: Version | None,
        above: Path,
        advice: str = "",
        *,
        may_hold_secrets: bool = False,
    ) -> None:
        self.problems: list[Problem] = []
        self._version = version
        self._above = above
        self._advice = advice
        self._may_hold_secrets = may_hold_secrets

    def section(self, value: Any, section: Section, path: Path) -> None:
        if value is None:
            if any(below.owned for below in section.keys.values()):
                self._report(
                    path, "is empty, but Moorage has settings in this section: leave it out"
                )
            return
        if section.is_list:
            self._items(value, section, path)
            return
        if not isinstance(value, Mapping):
            keys = ", ".join(sorted(section.keys))
            self._report(path, f"must be a section with {keys}" if keys else "must be empty")
            return
        for key, below in value.items():
            here = (*path, key)
            node = section.keys.get(key)
            if node is None:
                hint = _nearest_key(str(key), section.keys)
                self._report(here, f"is not a key of the registry's configuration; {hint}")
            else:
                self._entry(below, node, here)

    def _entry(self, value: Any, node: Node, path: Path) -> None:
        if node.owned:
            sentence, fields = _owner(path, node.owned)
            self._report(path, f"is not set here: {sentence}", fields)
        elif None not in (self._version, node.only) and node.only != self._version:
            assert node.only is not None and self._version is not None  # noqa: PT018
            self._report(path, _only_in(node.only, self._version))
        else:
            self.check(value, node, path)

    def check(self, value: Any, node: Node, path: Path) -> None:
        """Check a value whose key is allowed."""
        if isinstance(node, Section):
            self.section(value, node, path)
        elif value is None:
            return
        elif node.is_secret and not self._may_hold_secrets:
            self._secret(path)
        else:
            self._value(value, node, path)

    def _items(self, value: Any, section: Section, path: Path) -> None:
        if not isinstance(value, list):
            self._report(path, "must be a list")
            return
        for index, item in enumerate(value):
            if not isinstance(item, Mapping):
                self._report((*path, index), f"must be a section with {', '.join(section.keys)}")
                continue
            self.section(item, Section(section.keys), (*path, index))

    def _value(self, value: Any, node: Key, path: Path) -> None:
        kinds: dict[str, Callable[[Any, Key, Path], str]] = {
            "flag": _check_flag,
            "number": _check_number,
            "text": _check_text,
            "duration": _check_duration,
            "texts": _check_texts,
            "headers": _check_headers,
            "map": _check_map,
        }
        message = kinds[node.kind](value, node, path) if node.kind in kinds else ""
        if message:
            self._report(path, message)
        elif not self._may_hold_secrets:
            self._secrets_in(value, path)

    def _secrets_in(self, value: Any, path: Path) -> None:
        """Find plain-text secrets in places the tree does not cover: headers, options, URLs."""
        if isinstance(value, Mapping):
            for key, below in value.items():
                if _SECRET_NAME.search(str(key)) and below not in (None, "", [], {}):
                    self._secret((*path, key))
                else:
                    self._secrets_in(below, (*path, key))
        elif isinstance(value, list):
            for index, below in enumerate(value):
                self._secrets_in(below, (*path, index))
        elif isinstance(value, str) and _LOGIN_IN_URL.match(value):
            self._secret(path)

    def _secret(self, path: Path) -> None:
        advice, fields = self._advice, tuple[str, ...]()
        if not advice:
            advice = f"take it out and set the variable {_settable(path)} by reference"
            fields = ("registry.environment",)
        self._report(path, f"contains a secret, which must not be in plain text; {advice}", fields)

    def _report(self, path: Path, message: str, fields: tuple[str, ...] = ()) -> None:
        self.problems.append(Problem((*self._above, *path), message, fields=fields))


def _settable(path: Path) -> str:
    """Return the variable that sets a path; for a header, the one for all headers."""
    while len(path) > 1:
        try:
            found, _ = find(variable(path))
        except (KeyError, Ambiguous):
            found = ()
        if found == path:
            break
        path = path[:-1]
    return variable(path)


def _check_flag(value: Any, node: Key, path: Path) -> str:
    return "" if isinstance(value, bool) else "must be true or false, without quotes"


def _check_number(value: Any, node: Key, path: Path) -> str:
    fits = isinstance(value, int) and not isinstance(value, bool)
    return "" if fits else "must be a whole number, without quotes"


def _check_text(value: Any, node: Key, path: Path) -> str:
    if not isinstance(value, str):
        return "must be text; put it in quotes"
    if node.choices and value.lower() not in node.choices:
        return f"must be {', '.join(node.choices[:-1])} or {node.choices[-1]}"
    return ""


def _check_duration(value: Any, node: Key, path: Path) -> str:
    if value in (0, "0") and not isinstance(value, bool):
        return ""
    if re.fullmatch("[0-9]+", str(value)) and not isinstance(value, bool):
        return "must have a unit, such as 10s: a bare number is in nanoseconds"
    if isinstance(value, str) and re.fullmatch(f"({_DURATION.pattern})+", value):
        return ""
    return "must be a duration such as 500ms, 10s, 5m or 168h"


def _check_texts(value: Any, node: Key, path: Path) -> str:
    fits = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return "" if fits else "must be a list of texts"


def _check_headers(value: Any, node: Key, path: Path) -> str:
    fits = isinstance(value, Mapping) and all(
        not _check_texts(each, node, path) for each in value.values()
    )
    return "" if fits else "must be header names, each with a list, such as X-Header: [value]"


def _check_map(value: Any, node: Key, path: Path) -> str:
    return "" if isinstance(value, Mapping) else "must be keys and values"
