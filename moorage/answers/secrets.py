"""Secrets and the references to them that an answers file may hold."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import GetPydanticSchema
from pydantic_core import PydanticCustomError, core_schema

MASK = "********"

_LONGEST = 4096
_HASH = (
    r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}"
    r"|\$apr1\$[./A-Za-z0-9]{1,8}\$[./A-Za-z0-9]{22}"
    r"|\$5\$(rounds=\d+\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{43}"
    r"|\$6\$(rounds=\d+\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{86}"
)


class Secret:
    """A secret in memory. Redacts itself everywhere; :meth:`reveal` is the only way in."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a secret cannot be pickled")


@dataclass(frozen=True, slots=True)
class SecretName:
    """Which secret the operator is asked for.

    Attributes:
        kind: The kind of secret, as its key in the answers: ``sudo_password``, ``passphrase``.
        owner: Whose it is, such as the account or the key file; empty if the answers name it.
        field: Its dotted path, if the answers say to ask for it.
    """

    kind: str
    owner: str = ""
    field: str = ""

    def __str__(self) -> str:
        return self.field or f"{self.label} of {self.owner}"

    @property
    def label(self) -> str:
        """The kind as shown in prompts: ``sudo password``."""
        return self.kind.replace("_", " ")

    def is_same(self, other: SecretName) -> bool:
        """Whether both mean the same secret of a server: the answers name it without an owner."""
        return self == other or (self.kind == other.kind and bool(self.field) != bool(other.field))


def _check_text(value: object, message: str) -> None:
    """Raise the message, which never repeats the value: it can be the secret itself."""
    fits = isinstance(value, str) and 0 < len(value) <= _LONGEST
    if not fits or re.search("[\0-\x1f\x7f\ud800-\udfff]", str(value)):
        raise ValueError(message)


@dataclass(frozen=True, slots=True)
class FromEnvironment:
    """The value of an environment variable of the operator's shell."""

    env: str

    def __post_init__(self) -> None:
        message = "must be the name of an environment variable, such as CI_PASSWORD"
        _check_text(self.env, message)
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.env):
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class FromFile:
    """The first line of a file on the operator's machine."""

    file: str

    def __post_init__(self) -> None:
        _check_text(self.file, "must be the path of a file on this machine")


@dataclass(frozen=True, slots=True)
class FromCommand:
    """The first line a command prints on the operator's machine; no shell is involved."""

    command: tuple[str, ...]

    def __post_init__(self) -> None:
        message = "must be a list of a program and its arguments, [PROGRAM, ARGUMENT]"
        if not isinstance(self.command, (list, tuple)) or not self.command:
            raise ValueError(message)
        _check_text(self.command[0], message)
        for argument in self.command[1:]:
            if argument != "":
                _check_text(argument, message)
        object.__setattr__(self, "command", tuple(self.command))


@dataclass(frozen=True, slots=True)
class FromKeyring:
    """An entry of the desktop's keyring, kept under the service name ``moorage``."""

    keyring: str

    def __post_init__(self) -> None:
        _check_text(self.keyring, "must be the name of a keyring entry")


@dataclass(frozen=True, slots=True)
class FromPrompt:
    """Asked for when it is needed."""

    prompt: Literal[True]

    def __post_init__(self) -> None:
        if self.prompt is not True:
            raise ValueError("must be true")


@dataclass(frozen=True, slots=True)
class Hash:
    """A password hash in htpasswd format; the password itself is not known."""

    hash: str

    def __post_init__(self) -> None:
        if not isinstance(self.hash, str) or not re.fullmatch(_HASH, self.hash):
            raise ValueError(
                "must be a bcrypt, apr1 or SHA-crypt hash in quotes, as 'htpasswd -nB NAME' "
                "prints it after the colon"
            )


@dataclass(frozen=True, slots=True)
class Generated:
    """Generated by Moorage when the user is created, and shown once."""

    generate: Literal[True]

    def __post_init__(self) -> None:
        if self.generate is not True:
            raise ValueError("must be true")


class Typed:
    """A secret typed in the wizard. Lives in memory only: it is saved as ``{prompt: true}``."""

    def __init__(self, secret: Secret) -> None:
        self.secret = secret

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Typed) and other.secret == self.secret

    def __hash__(self) -> int:
        return hash(self.secret)

    def __repr__(self) -> str:
        return f"Typed({MASK})"


_Kinds = dict[str, type[Any]]
_KINDS: _Kinds = {
    "env": FromEnvironment,
    "file": FromFile,
    "command": FromCommand,
    "keyring": FromKeyring,
    "prompt": FromPrompt,
}
_PASSWORD_KINDS: _Kinds = {**_KINDS, "hash": Hash, "generate": Generated}

_EXAMPLES = {
    "env": "{env: NAME}",
    "file": "{file: PATH}",
    "command": "{command: [PROGRAM, ARGUMENT]}",
    "keyring": "{keyring: NAME}",
    "prompt": "{prompt: true}",
    "hash": "{hash: HTPASSWD_HASH}",
    "generate": "{generate: true}",
}

_JSON_SCHEMAS: dict[str, dict[str, Any]] = {
    "env": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    "file": {"type": "string", "minLength": 1},
    "command": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    "keyring": {"type": "string", "minLength": 1},
    "prompt": {"const": True},
    "hash": {"type": "string", "pattern": f"^({_HASH})$"},
    "generate": {"const": True},
}


def _read(value: object, kinds: _Kinds) -> object:
    """Return the reference that a mapping's only key names.

    Raises:
        PydanticCustomError: It is none, in words that never hold the value: it may be the secret.
    """
    if isinstance(value, (Typed, *kinds.values())):
        return value
    shapes = ", ".join(_EXAMPLES[kind] for kind in kinds)
    if not isinstance(value, dict):
        what = "is empty" if value is None else "must not be a secret in plain text"
        raise PydanticCustomError(
            "plain_text_secret", "{what}; use one of {shapes}",
            {"what": what, "shapes": shapes},
        )  # fmt: skip
    kind = next(iter(value), None)
    if len(value) != 1 or kind not in kinds:
        raise PydanticCustomError(
            "secret_reference", "must be exactly one of {shapes}", {"shapes": shapes}
        )
    try:
        return kinds[kind](value[kind])
    except ValueError as error:
        context = {"message": str(error), "kind": "secret_reference", "at": (kind,)}
        raise PydanticCustomError("wrong", "{message}", context) from None


def as_mapping(reference: PasswordReference) -> dict[str, Any]:
    """Return a reference as it is written in an answers file, for example ``{"env": "CI_PW"}``.

    A typed secret becomes ``{"prompt": True}``.
    """
    if isinstance(reference, Typed):
        return {"prompt": True}
    name = fields(reference)[0].name
    value = getattr(reference, name)
    return {name: list(value) if isinstance(value, tuple) else value}


def is_reference(value: object) -> TypeGuard[PasswordReference]:
    """Return whether a value is one of those that stand for a secret."""
    return isinstance(value, (Typed, *_PASSWORD_KINDS.values()))


def dump_reference(value: Any) -> Any:
    """Return a reference as plain values, and whatever is none as it is."""
    return as_mapping(value) if is_reference(value) else value


def read_reference(value: object) -> object:
    """Return the secret reference that a mapping holds.

    Raises:
        PydanticCustomError: It is none; the words never hold the value.
    """
    return _read(value, _KINDS)


def _describe(kinds: _Kinds) -> dict[str, Any]:
    return {
        "oneOf": [
            {
                "type": "object",
                "description": (kinds[kind].__doc__ or "").strip(),
                "properties": {kind: _JSON_SCHEMAS[kind]},
                "required": [kind],
                "additionalProperties": False,
            }
            for kind in kinds
        ]
    }


REFERENCE_SCHEMA = _describe(_KINDS)
"""The JSON Schema of a secret reference."""


def _schema(kinds: _Kinds) -> GetPydanticSchema:
    """A pydantic schema that picks the reference by its only key and says what would be right."""

    def build(_source: object, _handler: object) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: _read(value, kinds),
            serialization=core_schema.plain_serializer_function_ser_schema(dump_reference),
        )

    return GetPydanticSchema(build, lambda _schema, _handler: _describe(kinds))


type_of_reference = FromEnvironment | FromFile | FromCommand | FromKeyring | FromPrompt | Typed
SecretReference = Annotated[type_of_reference, _schema(_KINDS)]
"""Where a secret is found: env, file, command, keyring or prompt."""
PasswordReference = Annotated[type_of_reference | Hash | Generated, _schema(_PASSWORD_KINDS)]
"""Where a user's password is found: as above, or hash, or generate."""
