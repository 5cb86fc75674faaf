"""Secrets and the references to them that an answers file may hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetPydanticSchema, StringConstraints
from pydantic_core import PydanticCustomError, core_schema

MASK = "********"


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


class _Reference(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=4096)


class FromEnvironment(_Reference):
    """The value of an environment variable of the operator's shell."""

    env: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class FromFile(_Reference):
    """The first line of a file on the operator's machine."""

    file: Annotated[str, StringConstraints(min_length=1)]


class FromCommand(_Reference):
    """The first line a command prints on the operator's machine; no shell is involved."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]


class FromKeyring(_Reference):
    """An entry of the desktop's keyring, kept under the service name ``moorage``."""

    keyring: Annotated[str, StringConstraints(min_length=1)]


class FromPrompt(_Reference):
    """Asked when it is needed."""

    prompt: Literal[True]


class Hash(_Reference):
    """A password's hash as htpasswd holds it; the password itself is not known."""

    hash: Annotated[
        str,
        StringConstraints(
            pattern=r"^(\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}"
            r"|\$apr1\$[./A-Za-z0-9]{1,8}\$[./A-Za-z0-9]{22}"
            r"|\$5\$(rounds=\d+\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{43}"
            r"|\$6\$(rounds=\d+\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{86})$"
        ),
    ]


class Generated(_Reference):
    """Made by Moorage when the user is first created, shown once, kept nowhere."""

    generate: Literal[True]


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


_KINDS: dict[str, type[_Reference]] = {
    "env": FromEnvironment,
    "file": FromFile,
    "command": FromCommand,
    "keyring": FromKeyring,
    "prompt": FromPrompt,
}
_PASSWORD_KINDS: dict[str, type[_Reference]] = {**_KINDS, "hash": Hash, "generate": Generated}


def _schema(kinds: dict[str, type[_Reference]]) -> Any:
    """A pydantic schema that picks the reference by its only key and says what would be right."""

    def pick(value: object) -> object:
        if isinstance(value, (_Reference, Typed)):
            return value
        shapes = ", ".join(_EXAMPLES[kind] for kind in kinds)
        if not isinstance(value, dict):
            raise PydanticCustomError(
                "secret_in_clear",
                "a secret is not written here in clear; refer to it with one of {shapes}",
                {"shapes": shapes},
            )
        if len(value) != 1 or next(iter(value)) not in kinds:
            raise PydanticCustomError(
                "secret_reference", "exactly one of these is wanted: {shapes}", {"shapes": shapes}
            )
        return kinds[next(iter(value))].model_validate(value)

    def dump(value: object) -> object:
        if isinstance(value, Typed):
            return {"prompt": True}
        if isinstance(value, FromCommand):
            return {"command": list(value.command)}
        return value.model_dump() if isinstance(value, _Reference) else value

    def build(_source: object, handler: Any) -> core_schema.CoreSchema:
        described = core_schema.union_schema([handler(kind) for kind in kinds.values()])
        return core_schema.json_or_python_schema(
            json_schema=described,
            python_schema=core_schema.no_info_plain_validator_function(pick),
            serialization=core_schema.plain_serializer_function_ser_schema(dump),
        )

    return GetPydanticSchema(build)


_EXAMPLES = {
    "env": "{env: NAME}",
    "file": "{file: PATH}",
    "command": "{command: [PROGRAM, ARGUMENT]}",
    "keyring": "{keyring: NAME}",
    "prompt": "{prompt: true}",
    "hash": "{hash: HTPASSWD_HASH}",
    "generate": "{generate: true}",
}

type_of_reference = FromEnvironment | FromFile | FromCommand | FromKeyring | FromPrompt | Typed
SecretReference = Annotated[type_of_reference, _schema(_KINDS)]
"""Where a secret is found: env, file, command, keyring or prompt."""
PasswordReference = Annotated[type_of_reference | Hash | Generated, _schema(_PASSWORD_KINDS)]
"""Where a user's password is found: as above, or hash, or generate."""
