"""The draft: unfinished answers, with the structure of the answers file."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from moorage.answers.load import validate
from moorage.answers.model import Answers, Registry, Server
from moorage.answers.problems import expected_at
from moorage.answers.resolve import references
from moorage.answers.secrets import Secret, Typed
from moorage.deploy.clients import registry_name
from moorage.errors import AnswersError, Problem
from moorage.registry_keys import check_draft, check_registry
from tui.document.paths import parse_path

Value = Any
"""Any value of a YAML file, and :class:`Typed`."""

Part = TypeVar("Part", bound=BaseModel)


class Draft:
    """Answers while they are being edited, valid or not.

    Attributes:
        data: The answers as nested dictionaries and lists.
    """

    def __init__(self, data: Mapping[str, Value] | None = None) -> None:
        self.data: dict[str, Value] = _copied(data) if data is not None else {}
        self._validated: tuple[Answers | None, tuple[Problem, ...]] | None = None
        self._problems: tuple[Problem, ...] | None = None
        self._reported: dict[str, tuple[Value, tuple[Problem, ...]]] = {}

    @classmethod
    def new(cls) -> Draft:
        """Return the draft of a new deployment: everything except name and servers."""
        return cls(
            {
                "version": 1,
                "registry": {"runtime": "package"},
                "servers": [],
                "credentials": {
                    "users": [
                        {"name": _own_name(), "access": "push", "password": {"generate": True}}
                    ]
                },
                "storage": {"driver": "filesystem"},
                "dns": {"provider": "manual"},
                "ssl": {"mode": "private_ca"},
            }
        )

    @classmethod
    def from_answers(cls, answers: Answers) -> Draft:
        """Return a draft of finished answers; typed secrets stay in it."""
        data = answers.model_dump(mode="python", exclude_defaults=True)
        data["version"] = answers.version
        draft = cls(_plain(data))
        for position, user in enumerate(answers.credentials.users):
            if isinstance(user.password, Typed):
                draft.set(f"credentials.users[{position}].password", user.password)
        s3 = answers.storage.s3
        for name in ("accesskey", "secretkey"):
            if s3 is not None and isinstance(typed := getattr(s3, name), Typed):
                draft.set(f"storage.s3.{name}", typed)
        for path, reference in references(answers):
            if path[0] in {"ssl", "dns"} and isinstance(reference, Typed):
                draft.set(Problem(path, "").dotted, reference)
        return draft

    def get(self, path: str, default: Value = None) -> Value:
        """Return the value at a path, or the default."""
        here: Value = self.data
        for part in parse_path(path):
            try:
                here = here[part]
            except (KeyError, IndexError, TypeError):
                return default
        return default if here is None else here

    def text(self, path: str) -> str:
        """Return the value at a path as text for an input; empty if there is none."""
        value = self.get(path)
        return "" if value is None or isinstance(value, (dict, list, Typed)) else str(value)

    def set(self, path: str, value: Value) -> None:
        """Set the value at a path; missing sections are created."""
        self._validated = self._problems = None
        *way, last = parse_path(path)
        here: Value = self.data
        for part in way:
            if isinstance(here, dict) and not isinstance(here.get(part), (dict, list)):
                here[part] = {}
            here = here[part]
        here[last] = value

    def remove(self, path: str) -> None:
        """Remove the value at a path, if there is one."""
        self._validated = self._problems = None
        *way, last = parse_path(path)
        here: Value = self.data
        for part in way:
            try:
                here = here[part]
            except (KeyError, IndexError, TypeError):
                return
        if isinstance(here, dict):
            here.pop(last, None)
        elif isinstance(here, list) and isinstance(last, int) and last < len(here):
            del here[last]

    def put_text(self, path: str, text: str) -> None:
        """Set typed text at a path; blank text removes the key, which means the default."""
        if text.strip():
            self.set(path, text.strip())
        else:
            self.remove(path)

    def items(self, path: str) -> list[dict[str, Value]]:
        """Return the list at a path; empty if there is none."""
        found = self.get(path)
        return found if isinstance(found, list) else []

    def append(self, path: str, value: Value) -> None:
        """Add to the list at a path."""
        self.set(path, [*self.items(path), value])

    def set_key_file(self, server: str, key: str) -> bool:
        """Set the key file of a server; returns False if the server is not in the draft.

        Args:
            server: The server's host.
            key: The file's path.
        """
        rows = [each.get("host") for each in self.items("servers")]
        if server not in rows:
            return False
        self.set(f"servers[{rows.index(server)}].key", key)
        return True

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that is wrong or missing, in the answers and in the files they name."""
        if self._problems is None:
            answers, problems = self._validation()
            if answers is not None:
                problems = tuple(check_registry(answers))
            else:
                problems = (*problems, *check_draft(self._for_model()))
            self._problems = problems
        reported = (
            problem
            for path, (_, problems) in self._reported.items()
            if self.has_report(path)
            for problem in problems
        )
        return (*self._problems, *reported)

    def report(self, path: str, problems: Sequence[Problem]) -> bool:
        """Add problems that only files show; they count until the answers they are about change.

        Args:
            path: The path of the answers that name the files.
            problems: Their problems, in place of those reported before at this path or below.

        Returns:
            Whether this changes the problems.
        """
        before = [(each.path, each.message) for each in self.problems]
        for below in [each for each in self._reported if each.startswith(f"{path}.")]:
            del self._reported[below]
        self._reported[path] = (self.basis(path), tuple(problems))
        return before != [(each.path, each.message) for each in self.problems]

    def forget_reports(self) -> bool:
        """Forget the problems of files; returns whether there were any."""
        before = len(self.problems)
        self._reported.clear()
        return len(self.problems) < before

    def has_report(self, path: str) -> bool:
        """Return whether the files at a path were read for the current answers."""
        return path in self._reported and self._reported[path][0] == self.basis(path)

    def basis(self, path: str) -> Value:
        """Return the answers that problems of the files at a path depend on."""
        return _copied([self.get(path), self.domain, self.text("ssl.mode")])

    def problem_at(self, path: str) -> Problem | None:
        """Return the first problem at a path or below it, or None."""
        parts = parse_path(path)
        for problem in self.problems:
            if problem.path[: len(parts)] == parts:
                return problem
        return None

    def answers(self) -> Answers:
        """Return the finished answers.

        Raises:
            AnswersError: Something is wrong or missing.
        """
        answers, problems = self._validation()
        if answers is None:
            raise AnswersError(problems)
        return answers

    def answers_to_look(self) -> Answers:
        """Return answers that are enough to read the servers; others may be missing.

        Raises:
            AnswersError: The name or a server is wrong or missing.
        """
        answers, problems = self._validation()
        if answers is not None:
            return answers
        from moorage.deploy.status.discovery import answers_for

        places = range(len(self.items("servers")))
        servers = [self.answers_of(Server, f"servers[{place}]") for place in places]
        named = {each.host: each for each in servers if each is not None}
        registry = self.answers_of(Registry, "registry")
        if registry is None or not named or len(named) < len(servers):
            raise AnswersError(problems)
        return answers_for(tuple(named.values()), registry.domain)

    def answers_of(self, model: type[Part], path: str) -> Part | None:
        """Return one section of the answers if it is valid, whatever the others are, or None."""
        try:
            return model.model_validate(self.get(path, {}))
        except ValueError:
            return None

    def without_secrets(self) -> dict[str, Value]:
        """Return the draft as plain values; typed secrets become prompts."""
        plain = _plain(self.data)
        assert isinstance(plain, dict)
        return plain

    @property
    def has_typed_secrets(self) -> bool:
        """Whether the draft has secrets, which are lost when the wizard ends."""
        return _holds_typed(self.data)

    @property
    def domain(self) -> str:
        """The registry's name as typed so far."""
        return self.text("registry.domain")

    @property
    def registry_name(self) -> str:
        """The host part of image names, as far as it has been typed."""
        try:
            return registry_name(self.answers())
        except AnswersError:
            return self.domain

    def _validation(self) -> tuple[Answers | None, tuple[Problem, ...]]:
        """Return the answers or their problems; cached until the next change."""
        if self._validated is None:
            self._validated = _validate(self._for_model())
        return self._validated

    def _for_model(self) -> dict[str, Value]:
        """Return the data without the sections that are not in use."""
        data = dict(self.data)
        storage = data.get("storage")
        if isinstance(storage, dict) and storage.get("driver") != "s3":
            # Settings of the other driver stay in the draft, but do not count.
            data["storage"] = {key: value for key, value in storage.items() if key != "s3"}
        dns = data.get("dns")
        if isinstance(dns, dict):
            others = {"rfc2136", "route53", "lexicon"} - {dns.get("provider")}
            data["dns"] = {key: value for key, value in dns.items() if key not in others}
        if isinstance(data.get("ssl"), dict):
            data["ssl"] = _ssl_for_model(data["ssl"])
        return data


def _ssl_for_model(ssl: Mapping[str, Value]) -> dict[str, Value]:
    """Return the section without the settings of other modes and challenges."""
    section = dict(ssl)
    if section.get("mode") != "files":
        section.pop("files", None)
    acme = section.pop("acme", None)
    if section.get("mode") == "acme" and isinstance(acme, dict):
        acme = {key: value for key, value in acme.items() if value != {}}
        if acme.get("challenge") != "dns-01":
            acme.pop("dns", None)
        section["acme"] = acme
    return section


def _own_name() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        return "admin"
    return name if name != "root" and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) else "admin"


def _copied(value: Value) -> Value:
    """Return a deep copy that shares the typed secrets."""
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(each) for each in value]
    return value


def _plain(value: Value) -> Value:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, (Typed, Secret)):
        return {"prompt": True}
    return value


def _holds_typed(value: Value) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_typed(each) for each in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds_typed(each) for each in value)
    return isinstance(value, Typed)


_IN_FORMS: dict[str, str] = {
    "servers": "add at least one server",
    "users": "add at least one user",
    "password": "enter a password, or let Moorage generate one",
}
"""Messages for the wizard in place of the model's, which are about YAML."""


def _validate(data: dict[str, Value]) -> tuple[Answers | None, tuple[Problem, ...]]:
    answers, found = validate(data)
    problems: dict[tuple[str | int, ...], Problem] = {}
    for problem in found:
        path = problem.path
        message = problem.message
        if problem.code in {"missing", "empty"} and path:
            message = _IN_FORMS.get(str(path[-1]), f"expected {expected_at(path)}")
        problems.setdefault(path, Problem(path, message, code=problem.code, fields=problem.fields))
    return answers, tuple(problems.values())
