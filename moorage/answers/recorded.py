"""Answers from a server's record, without the values that only the operator can set.

Root on a server can write its deployment.json. Nothing in it must start a program, open a file or
connect to another machine on the operator's side, so a recorded :class:`Answers` never has
servers, references to secrets or the fields marked with
:data:`moorage.answers.fields.OPERATOR_ONLY`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from moorage.answers.fields import OPERATOR_ONLY, Runtime
from moorage.answers.model import Answers, Server
from moorage.answers.record import without_secrets
from moorage.answers.secrets import FromPrompt, Generated, dump_reference, is_reference

Path = tuple[str | int, ...]
"""A place in the answers, as keys and indexes."""

_PROMPT = FromPrompt(prompt=True)
_KEEP_PASSWORD = Generated(generate=True)


@dataclass(frozen=True)
class RecordedServer:
    """A server named in a record: its address, and nothing that helps to log in there.

    Attributes:
        host: Its label.
        user: The login user; None if ~/.ssh/config sets it.
        port: The SSH port; None likewise.
        runtime: The runtime there, if it differs from the other servers'.
        image: The image there, likewise.
        address: The address clients connect to, if it is not the host.
        is_local: Whether it is the machine Moorage ran on.
    """

    host: str
    user: str | None = None
    port: int | None = None
    runtime: Runtime | None = None
    image: str | None = None
    address: str | None = None
    is_local: bool = False

    @property
    def destination(self) -> str:
        """The server in the form ``--server`` takes: USER@HOST:PORT."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        who = f"{self.user}@" if self.user else ""
        return f"{who}{host}" + (f":{self.port}" if self.port else "")

    @classmethod
    def of(cls, server: Server) -> RecordedServer:
        """Return a server without what helps to log in."""
        return cls(server.host, server.user, server.port)

    def as_server(self, key: str | None = None) -> Server:
        """Return the server to connect to, after the operator has agreed.

        Args:
            key: The operator's private key file.
        """
        return Server(host=self.host, user=self.user, port=self.port, key=key)


@dataclass(frozen=True)
class RecordedAnswers:
    """The answers that were applied, according to a record.

    Attributes:
        answers: Safe answers: without servers, with ``{prompt: true}`` in place of references
            (``{generate: true}`` for users, which keeps their passwords), and without
            unconfirmed values.
        servers: The recorded servers.
        unconfirmed: Recorded values that only the operator can set, by their path in the answers:
            to be shown and confirmed.
        values: The whole record as plain values, only to compare answers with.
    """

    answers: Answers
    servers: tuple[RecordedServer, ...]
    unconfirmed: Mapping[Path, Any]
    values: Mapping[str, Any]


def read_recorded(value: object) -> RecordedAnswers:
    """Return the answers in a record.

    Args:
        value: The record's JSON value under ``answers``.

    Raises:
        ValueError: The answers are invalid.
    """
    try:
        answers = Answers.model_validate(value)
        unconfirmed: dict[Path, Any] = {}
        harmless = _without_operator_values(answers, ("servers", "ask"), (), unconfirmed)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    servers = tuple(_recorded(server) for server in answers.servers)
    emptied = harmless.model_copy(update={"servers": (), "ask": ()})
    values = without_secrets(answers)
    return RecordedAnswers(cast(Answers, emptied), servers, unconfirmed, values)


def _recorded(server: Server) -> RecordedServer:
    return RecordedServer(
        server.host, server.user, server.port, server.runtime, server.image, server.address,
        server.connection == "local",
    )  # fmt: skip


def _without_operator_values(
    model: BaseModel, aside: tuple[str, ...], above: Path, unconfirmed: dict[Path, Any]
) -> BaseModel:
    """Return a section without operator-only values, and add these to ``unconfirmed``."""
    kept = {}
    for name, field in type(model).model_fields.items():
        if name in aside:
            continue
        path = (*above, name)
        value = _without_references(getattr(model, name), path, unconfirmed)
        default = field.get_default(call_default_factory=True)
        if is_operator_only(field) and value != default:
            unconfirmed[path] = _plain(value)
            value = "" if default is PydanticUndefined else default
        kept[name] = value
    return model.model_copy(update=kept)


def _without_references(value: Any, path: Path, unconfirmed: dict[Path, Any]) -> Any:
    if is_reference(value):
        is_user = path[:2] == ("credentials", "users")
        return _KEEP_PASSWORD if is_user else _PROMPT
    if isinstance(value, BaseModel):
        return _without_operator_values(value, (), path, unconfirmed)
    if isinstance(value, tuple):
        return tuple(
            _without_references(each, (*path, place), unconfirmed)
            for place, each in enumerate(value)
        )
    if isinstance(value, dict):
        return {
            key: _without_references(each, (*path, key), unconfirmed) for key, each in value.items()
        }
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return dump_reference(value)


def as_values(recorded: RecordedAnswers) -> dict[str, Any]:
    """Return recorded answers as in an answers file, without unconfirmed values."""
    values: dict[str, Any] = recorded.answers.model_dump(mode="json", exclude_defaults=True)
    values["version"] = recorded.answers.version
    for *way, last in recorded.unconfirmed:
        here: Any = values
        for part in way:
            here = here[part] if isinstance(part, int) else here.get(part, {})
        here.pop(last, None)
    return values


def is_operator_only(field: FieldInfo) -> bool:
    """Return whether only the operator can set a field; a server's value is never used."""
    return OPERATOR_ONLY in field.metadata or _is_marked(field.annotation)


def has_operator_only_part(field: FieldInfo) -> bool:
    """Return whether only the operator can set a field or a part of it."""
    models = (each for each in _types_in(field.annotation) if issubclass(each, BaseModel))
    return is_operator_only(field) or any(
        has_operator_only_part(inner) for model in models for inner in model.model_fields.values()
    )


def _types_in(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for each in get_args(annotation):
        yield from _types_in(each)


def _is_marked(annotation: Any) -> bool:
    return any(each is OPERATOR_ONLY or _is_marked(each) for each in get_args(annotation))
