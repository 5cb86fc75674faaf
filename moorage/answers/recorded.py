"""Answers that a server sent: what in them only the operator may say is taken out.

Whoever has root on a server writes its deployment.json. Nothing in it may start a program, open a
file or reach another machine on the operator's side, so a recorded :class:`Answers` exists only
without its servers, without references to secrets and without the fields that are marked with
:data:`moorage.answers.fields.OPERATOR_ONLY`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from moorage.answers.fields import OPERATOR_ONLY
from moorage.answers.model import Answers, Server
from moorage.answers.record import without_secrets
from moorage.answers.secrets import FromPrompt, Generated, dump_reference, is_reference

Path = tuple[str | int, ...]
"""A place in the answers, as keys and indexes."""

_PROMPT = FromPrompt(prompt=True)
_KEEP_PASSWORD = Generated(generate=True)


@dataclass(frozen=True)
class RecordedServer:
    """A server that a record names: where it is, and nothing that helps to log in there.

    Attributes:
        host: Its label.
        user: Who logged in; None where ~/.ssh/config said so.
        port: The SSH port; None likewise.
        runtime: What runs the registry there, where that differs from the others.
        address: Where clients reach it, where that is not the host.
        is_local: Whether it is the machine that Moorage ran on.
    """

    host: str
    user: str | None = None
    port: int | None = None
    runtime: str | None = None
    address: str | None = None
    is_local: bool = False

    @property
    def destination(self) -> str:
        """The server as ``--server`` takes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        who = f"{self.user}@" if self.user else ""
        return f"{who}{host}" + (f":{self.port}" if self.port else "")

    def as_server(self, key: str | None = None) -> Server:
        """Return the server to connect to, once the operator has agreed to that.

        Args:
            key: The private key file the operator named.
        """
        return Server(host=self.host, user=self.user, port=self.port, key=key)


@dataclass(frozen=True)
class RecordedAnswers:
    """What a record says was applied.

    Attributes:
        answers: The answers, harmless: without servers, with ``{prompt: true}`` in place of
            references (``{generate: true}`` for users, which keeps their passwords), and empty
            where a value is unconfirmed.
        servers: The servers it names.
        unconfirmed: What only the operator may say, as it was recorded, by its path in the answers:
            to be shown and confirmed.
        values: All of it as plain values, to compare answers with and for nothing else.
    """

    answers: Answers
    servers: tuple[RecordedServer, ...]
    unconfirmed: Mapping[Path, Any]
    values: Mapping[str, Any]


def read_recorded(value: object) -> RecordedAnswers:
    """Return what a record holds under ``answers``.

    Args:
        value: JSON values.

    Raises:
        ValueError: They are no answers.
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
        server.host, server.user, server.port, server.runtime, server.address,
        server.connection == "local",
    )  # fmt: skip


def _without_operator_values(
    model: BaseModel, aside: tuple[str, ...], above: Path, unconfirmed: dict[Path, Any]
) -> BaseModel:
    """Return a section without what is the operator's own; that goes to ``unconfirmed``."""
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
    """Return recorded answers as an answers file has them; what is unconfirmed is missing."""
    values: dict[str, Any] = recorded.answers.model_dump(mode="json", exclude_defaults=True)
    values["version"] = recorded.answers.version
    for *way, last in recorded.unconfirmed:
        here: Any = values
        for part in way:
            here = here[part] if isinstance(part, int) else here.get(part, {})
        here.pop(last, None)
    return values


def is_operator_only(field: FieldInfo) -> bool:
    """Return whether a field's value is never taken from a server."""
    return OPERATOR_ONLY in field.metadata or _is_marked(field.annotation)


def has_operator_only_part(field: FieldInfo) -> bool:
    """Return whether a field's value, or a part of it, is never taken from a server."""
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
