"""Check the operator's additions to the registry's configuration.

A problem with the code ``does_not_start`` keeps the registry from starting. Most others are
settings that it ignores or reads as another value: ``unknown_key``, ``other_version``,
``no_effect``, ``ambiguous``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from moorage.answers.model import Answers
from moorage.errors import Problem
from moorage.registry_keys import go_values
from moorage.registry_keys.contradictions import find_contradictions
from moorage.registry_keys.environment import (
    Ambiguous,
    environment_to_settings,
    find,
    plain_variables,
    read_value,
    variable,
)
from moorage.registry_keys.process_environment import check_process_variable, is_process_variable
from moorage.registry_keys.s3_values import check_s3
from moorage.registry_keys.tree import TREE, VERSIONS, Key, Node, Path, Section, Version, names
from moorage.registry_keys.version import registry_versions
from moorage.registry_keys.words import (
    DOES_NOT_START,
    IN_PLAIN_TEXT,
    has_login,
    is_secret_name,
    list_words,
)

SETTINGS = ("registry", "settings")
ENVIRONMENT = ("registry", "environment")

_OWN_FIELD = "the answers have a field of its own for it"
_QUOTED = "must be text; put it in quotes"


def check_registry(answers: Answers, *, is_whole: bool = True) -> list[Problem]:
    """Return the problems in what the answers add to the registry's configuration.

    With several versions among the servers, a setting is right if one of them has it.

    Args:
        answers: The answers.
        is_whole: Whether they have all settings and variables, so that what is missing is wrong.
    """
    versions = registry_versions(answers)
    settings, environment = answers.registry.settings, answers.registry.environment
    problems = check_settings(settings, versions) + check_environment(environment, versions)
    problems += check_s3(answers)
    if is_whole and not any(problem.code == DOES_NOT_START for problem in problems):
        from_environment = environment_to_settings(plain_variables(environment)).settings
        problems += find_contradictions(from_environment, settings, environment, versions)
    return problems


def check_settings(
    settings: Mapping[str, Any],
    versions: Collection[Version] = VERSIONS,
    above: Path = SETTINGS,
) -> list[Problem]:
    """Return the problems in a part of the registry's configuration.

    Args:
        settings: The part, starting at the top level.
        versions: The versions that it is for.
        above: The part's path in the answers.
    """
    found = []
    for version in versions:
        checker = _Checker(version, above)
        checker.section(settings, TREE, ())
        found.append(checker.problems)
    return _combined(found)


def check_environment(
    environment: Mapping[str, object],
    versions: Collection[Version] = VERSIONS,
    above: Path = ENVIRONMENT,
) -> list[Problem]:
    """Return the problems in environment variables.

    Args:
        environment: Names and values: text, a number, true or false, or a secret reference.
        versions: The versions that they are for.
        above: Their path in the answers.
    """
    return _combined(
        [
            [
                problem
                for name, value in environment.items()
                for problem in _check_variable(name, value, version, (*above, name))
            ]
            for version in versions
        ]
    )


def shape_fault(value: Any, node: Node, path: Path) -> str:
    """Return why a value does not fit a setting, or empty. The text never contains the value.

    Args:
        value: The value; it can contain secrets.
        node: The setting.
        path: The setting's path.
    """
    checker = _Checker(VERSIONS[-1], (), may_hold_secrets=True)
    checker.check(value, node, path)
    wrong = [problem for problem in checker.problems if problem.code != "other_version"]
    return wrong[0].message if wrong else ""


def _combined(found: Sequence[Sequence[Problem]]) -> list[Problem]:
    """Return the problems of any version, and missing keys only if all versions lack them."""
    lacking = [
        {problem.path for problem in problems if problem.code == "other_version"}
        for problems in found
    ]
    in_all = set.intersection(*lacking) if lacking else set()
    problems: dict[object, Problem] = {}
    for each in (problem for problems in found for problem in problems):
        if each.code != "other_version":
            problems.setdefault((each.path, each.message), each)
        elif each.path in in_all:
            problems.setdefault((each.path, each.code), each)
    return list(problems.values())


def _check_variable(name: str, value: object, version: Version, where: Path) -> list[Problem]:
    if is_process_variable(name):
        return check_process_variable(name, value, version, where)
    try:
        path, way = find(name)
    except Ambiguous as error:
        fields = ("registry.settings",)
        return [Problem(where, str(error), code="ambiguous", fields=fields)]
    except KeyError:
        message = f"is not a registry setting; {_nearest(name)}"
        return [Problem(where, message, code="unknown_key")]
    refused = _refusal(path, way, version, where)
    if refused is not None:
        return [refused]
    if isinstance(value, (str, int, bool)):
        return _check_plain(value, path, way[-1], version, where)
    return []


def _refusal(path: Path, way: Sequence[Node], version: Version, where: Path) -> Problem | None:
    """Return why a setting cannot be set by a variable, whatever its value, or None."""
    owned = next((node.owned for node in way if node.owned), "")
    if owned or path == ("storage",):
        sentence, fields = _owner(path, owned)
        return Problem(where, f"cannot be set here: {sentence}", code="owned", fields=fields)
    other = next((node for node in way if version not in node.versions), None)
    if other is not None:
        return Problem(where, _only_in(other, version), code="other_version")
    return None


def _check_plain(
    value: str | int | bool, path: Path, node: Node, version: Version, where: Path
) -> list[Problem]:
    """Check a variable whose value is in the answers."""
    if isinstance(node, Key) and node.is_secret:
        return [Problem(where, f"is a secret and {IN_PLAIN_TEXT}", code="plain_secret")]
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


def _only_in(node: Node, version: Version) -> str:
    return f"exists only in registry {list_words(node.versions, 'and')}; this is {version}"


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
        version: Version,
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
            self._empty_section(section, path)
        elif section.is_list:
            self._items(value, section, path)
        elif not isinstance(value, Mapping):
            keys = ", ".join(sorted(section.keys))
            message = f"must be a section with {keys}" if keys else "must be empty"
            # Moorage's own settings replace the value.
            is_replaced = path in {("http", "debug"), ("storage",)}
            self._report(path, message, "owned" if is_replaced else DOES_NOT_START)
        else:
            before = len(self.problems)
            for key, below in value.items():
                self._entry(key, below, section, (*path, key))
            if _is_unused(value, path):
                self.problems[before:] = map(_without_effect, self.problems[before:])

    def _empty_section(self, section: Section, path: Path) -> None:
        if any(below.owned for below in section.keys.values()):
            message = "is empty, but Moorage has settings in this section: leave it out"
            self._report(path, message, "owned")
        elif section.is_raw or (self._version == "3.0" and path == ("redis", "tls")):
            self._report(path, "must not be empty: leave it out", DOES_NOT_START)

    def _entry(self, key: object, value: Any, section: Section, path: Path) -> None:
        node = section.keys.get(str(key))
        if node is None:
            hint = _nearest_key(str(key), section.keys)
            message = f"is not a key of the registry's configuration; {hint}"
            self._report(path, message, "unknown_key")
        elif node.owned:
            sentence, fields = _owner(path, node.owned)
            self._report(path, f"cannot be set here: {sentence}", "owned", fields)
        elif self._version not in node.versions:
            self._report(path, _only_in(node, self._version), "other_version")
        else:
            self.check(value, node, path)

    def check(self, value: Any, node: Node, path: Path) -> None:
        """Check a value whose key is allowed."""
        if isinstance(node, Section):
            self.section(value, node, path)
        elif node.is_secret and value is not None and not self._may_hold_secrets:
            self._secret(path)
        else:
            self._value(value, node, path)

    def _items(self, value: Any, section: Section, path: Path) -> None:
        if not isinstance(value, list):
            self._report(path, "must be a list", DOES_NOT_START)
            return
        for index, item in enumerate(value):
            if item is None or isinstance(item, Mapping):
                self.section(item or {}, Section(section.keys), (*path, index))
            else:
                message = f"must be a section with {', '.join(section.keys)}"
                self._report((*path, index), message, DOES_NOT_START)

    def _value(self, value: Any, node: Key, path: Path) -> None:
        # 3.0 reads the section redis by itself, without converting values.
        is_of_3_0 = self._version == "3.0" and path[:1] == ("redis",)
        is_raw = node.is_raw or is_of_3_0
        needs_value = node.is_raw or (
            is_of_3_0 and (node.kind == "duration" or path[1:2] == ("tls",))
        )
        code, message = _fault_of(
            value, node, self._version, is_raw=is_raw, needs_value=needs_value
        )
        # Below storage, the registry takes any value; elsewhere, any of the right type.
        takes_it = path[:1] == ("storage",) or not _has_wrong_shape(value, node)
        skips_items = is_of_3_0 and isinstance(value, list) and path[1:2] == ("tls",)
        if code == DOES_NOT_START and (skips_items or (node.is_ignored and takes_it)):
            code = "no_effect"
        if message:
            self._report(path, message, code)
        elif not self._may_hold_secrets:
            self._secrets_in(value, path)

    def _secrets_in(self, value: Any, path: Path) -> None:
        """Find plain-text secrets in places the tree does not cover: headers, options, URLs."""
        if isinstance(value, Mapping):
            for key, below in value.items():
                if is_secret_name(str(key)) and below not in (None, "", [], {}):
                    self._secret((*path, key))
                else:
                    self._secrets_in(below, (*path, key))
        elif isinstance(value, list):
            for index, below in enumerate(value):
                self._secrets_in(below, (*path, index))
        elif isinstance(value, str) and has_login(value):
            self._secret(path)

    def _secret(self, path: Path) -> None:
        advice, fields = self._advice, tuple[str, ...]()
        if not advice:
            advice = f"take it out and set the variable {_settable(path)} by reference"
            fields = ("registry.environment",)
        message = f"contains a secret, which must not be in plain text; {advice}"
        self._report(path, message, "plain_secret", fields)

    def _report(self, path: Path, message: str, code: str, fields: tuple[str, ...] = ()) -> None:
        where = (*self._above, *path)
        self.problems.append(Problem(where, message, code=code, fields=fields))


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


def _is_unused(section: Mapping[str, Any], path: Path) -> bool:
    """Return whether the registry reads the other keys of a section at all."""
    if path == ("storage", "maintenance", "uploadpurging"):
        return section.get("enabled") is False
    if path == ("storage", "cache"):
        return bool(section.get("blobdescriptor", "inmemory") != "inmemory")
    if path == ("http", "debug", "prometheus"):
        return section.get("enabled") is not True
    is_disabled = section.get("disabled") is True and not section.get("enabled")
    return path == ("validation",) and is_disabled


def _without_effect(problem: Problem) -> Problem:
    is_fatal = problem.code == DOES_NOT_START
    code = "no_effect" if is_fatal else problem.code
    return Problem(problem.path, problem.message, code=code, fields=problem.fields)


_Fault = tuple[str, str]
"""A code and a message; both empty for a value that is right."""
_RIGHT: _Fault = ("", "")


def _dies(message: str) -> _Fault:
    return DOES_NOT_START, message


def _fault_of(
    value: Any, node: Key, version: Version, *, is_raw: bool, needs_value: bool
) -> _Fault:
    """Return what is wrong with a value.

    Args:
        value: The value.
        node: Its key.
        version: The registry's version.
        is_raw: Whether that version takes the value as YAML has it.
        needs_value: Whether it cannot be null.
    """
    if value is None:
        return _dies("needs a value") if needs_value else _RIGHT
    faults: dict[str, Callable[[Any, Key, bool], _Fault]] = {
        "flag": _flag_fault,
        "number": _number_fault,
        "text": _text_fault,
        "duration": _duration_fault,
        "texts": _texts_fault,
        "headers": _headers_fault,
        "map": _map_fault,
    }
    fault = faults[node.kind](value, node, is_raw) if node.kind in faults else _RIGHT
    return _form_fault(value, node, version) if fault == _RIGHT and node.form else fault


def _flag_fault(value: Any, node: Key, is_raw: bool) -> _Fault:
    return _RIGHT if isinstance(value, bool) else _dies("must be true or false, without quotes")


def _number_fault(value: Any, node: Key, is_raw: bool) -> _Fault:
    message = "must be a whole number, without quotes"
    if isinstance(value, float) and not is_raw:
        return "ambiguous", message
    if not isinstance(value, int) or isinstance(value, bool):
        return _dies(message)
    if node.minimum is not None and value < node.minimum:
        return _dies(f"must be at least {node.minimum}")
    return _RIGHT


def _text_fault(value: Any, node: Key, is_raw: bool) -> _Fault:
    if not isinstance(value, str):
        if is_raw or isinstance(value, (list, Mapping)):
            return _dies(_QUOTED)
        if isinstance(value, float):
            # YAML reads 1.10 as 1.1.
            return "ambiguous", _QUOTED
        value = str(value).lower() if isinstance(value, bool) else str(value)
    if not node.choices or (value.lower() if node.any_case else value) in node.choices:
        return _RIGHT
    return _dies(f"must be {list_words(filter(None, node.choices), 'or')}")


def _has_wrong_shape(value: Any, node: Key) -> bool:
    """Whether a value is a list where the registry reads text, or the other way round."""
    if node.kind != "texts":
        return isinstance(value, (list, Mapping))
    if not isinstance(value, list):
        return True
    return any(isinstance(each, (list, Mapping)) for each in value)


def _duration_fault(value: Any, node: Key, is_raw: bool) -> _Fault:
    fits = isinstance(value, str) and go_values.nanoseconds(value) is not None
    if fits or (value == 0 and not isinstance(value, (bool, str)) and not is_raw):
        return _RIGHT
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number or re.fullmatch(r"[0-9]+", str(value)):
        message = "must have a unit, such as 10s"
        if is_number and not is_raw:
            return "ambiguous", f"{message}: a bare number is in nanoseconds"
        return _dies(message)
    return _dies("must be a duration such as 500ms, 10s, 5m or 168h")


def _texts_fault(value: Any, node: Key, is_raw: bool) -> _Fault:
    if not isinstance(value, list):
        return _dies("must be a list of texts")
    for each in value:
        if each is None and not is_raw:
            return "ambiguous", "has an empty item: take it out"
        code, message = _text_fault(each, node, is_raw)
        if message:
            return code, message if node.choices else "must be a list of texts, each in quotes"
    return _RIGHT


def _headers_fault(value: Any, node: Key, is_raw: bool) -> _Fault:
    if not isinstance(value, Mapping):
        return _dies("must be header names, each with a list, such as X-Header: [value]")
    for name, each in value.items():
        code, message = _texts_fault(each, node, is_raw) if each is not None else _RIGHT
        if message:
            shape = "with a list, such as" if not isinstance(each, list) else "in quotes, such as"
            return code, f"{name} must have its values {shape} {name}: [value]"
    return _RIGHT


def _map_fault(value: Any, node: Key, is_raw: bool) -> _Fault:
    return _RIGHT if isinstance(value, Mapping) else _dies("must be keys and values")


def _form_fault(value: Any, node: Key, version: Version) -> _Fault:
    texts = [str(each) for each in value] if isinstance(value, list) else [str(value)]
    if node.form == "url" and go_values.parse_url(texts[0]) is None:
        return _dies("must be a URL such as https://registry.example.com")
    if node.form == "web_url" and texts[0] and not _is_web_url(texts[0]):
        return _dies("must be a URL that begins with https:// or http://")
    if node.form == "regular_expressions":
        for place, text in enumerate(texts):
            if not go_values.is_regular_expression(text, has_short_names=version != "2.8"):
                return _dies(f"item {place + 1} is not a regular expression of Go")
    if node.form == "metrics_path" and not re.fullmatch(r"/[A-Za-z0-9._/-]*", texts[0]):
        message = "must be a path such as /metrics"
        return (_dies if version != "2.8" else _no_effect)(message)
    return _RIGHT


def _no_effect(message: str) -> _Fault:
    return "no_effect", message


def _is_web_url(text: str) -> bool:
    url = go_values.parse_url(text)
    return url is not None and url.scheme in {"http", "https"} and bool(url.host)
