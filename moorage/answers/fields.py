"""The types of values in the answers. Each reports what it expects."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, core_schema

from moorage.answers.secrets import (
    REFERENCE_SCHEMA,
    SecretReference,
    dump_reference,
    read_reference,
)
from moorage.local_file import LocalFileError


def reject(
    kind: str, message: str, at: tuple[str | int, ...] = (), fields: tuple[str, ...] = ()
) -> PydanticCustomError:
    """Return an error for a validator to raise.

    Args:
        kind: A stable identifier.
        message: What is wrong and what would be right.
        at: Where, below the value that is validated.
        fields: Other fields of the answers that the message is about, as dotted paths.
    """
    context = {"message": message, "kind": kind, "at": at, "fields": fields}
    return PydanticCustomError("wrong", "{message}", context)


_QUOTES = "“”„‟‘’‚‛«»‹›"  # noqa: RUF001
_DASHES = "‐‑‒–—−"  # noqa: RUF001


def unusual_character(text: str) -> str:
    """Return what is said about a character that word processors and web pages put into text.

    Returns:
        Empty if there is none.
    """
    for character in text:
        code = f"U+{ord(character):04X}"
        if character in _QUOTES:
            return f"contains the typographic quote {character}; use ' or \", or none"
        if character in _DASHES:
            return f"contains the dash {character} ({code}); use -"
        if unicodedata.category(character) == "Cf":
            return f"contains the invisible character {code}; remove it"
        if unicodedata.category(character) == "Zs" and character != " ":
            return f"contains the blank {code}; use an ordinary one"
        if "\uff01" <= character <= "\uff5e":
            return f"contains the wide character {character}; use {chr(ord(character) - 0xFEE0)}"
    return ""


def check_typed(value: str) -> None:
    """Raise if a text has a character that cannot be meant; see :func:`unusual_character`."""
    message = unusual_character(value)
    if message:
        raise reject("unusual_character", message)


@dataclass(frozen=True)
class matching:  # noqa: N801  # reads as a word in the annotations below
    """A validator for text that must match a pattern whole.

    Attributes:
        pattern: A regular expression.
        expected: The valid form, for the error message.
        longest: The maximum number of characters.
    """

    pattern: str
    expected: str
    longest: int = 255

    def check(self, value: str) -> str:
        """Return the value, or raise what is wrong with it."""
        if len(value) > self.longest:
            raise reject(
                "too_long", f"is too long: {len(value)} characters (maximum {self.longest})"
            )
        if not re.fullmatch(self.pattern, value, re.ASCII):
            check_typed(value)
            raise reject("wrong_form", f"must be {self.expected}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        described: dict[str, Any] = handler(schema)
        return described | {"pattern": f"^(?:{self.pattern})$", "maxLength": self.longest}


@dataclass(frozen=True)
class _OperatorOnly:
    """The type of :data:`OPERATOR_ONLY`."""


OPERATOR_ONLY = _OperatorOnly()
"""Marks a field that names something on the operator's machine, or makes it connect somewhere.

Such a value is never taken from a server; see :mod:`moorage.answers.recorded`.
"""

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_PATH_FORM = "an absolute path of letters, digits and . _ - /, without '..'"


def _check_host(value: str) -> str:
    import ipaddress

    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        address = str(ipaddress.ip_address(bare))
    except ValueError:
        address = ""
    if re.fullmatch(r"[0-9A-Fa-f.:]+(%[A-Za-z0-9_.-]{1,32})?", address):
        return address
    if re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?", value):
        return value
    check_typed(value)
    if "@" in value:
        message = "must be the host alone; the user has a field of its own"
        raise reject("wrong_form", message, fields=("servers[].user",))
    raise reject("wrong_form", "must be an IP address, a host name or an alias from ~/.ssh/config")


def _check_address(value: str) -> str:
    import ipaddress

    try:
        address = ipaddress.ip_address(value.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        address = None
    if address is None or getattr(address, "scope_id", None):
        raise reject("wrong_form", "must be an IP address such as 192.0.2.10 or 2001:db8::1")
    return str(address)


def _check_ascii_name(value: str) -> str:
    check_typed(value)
    try:
        plain = value.encode("idna").decode()
    except UnicodeError:  # not a DNS name, which the next validator reports
        return value
    if value.isascii() or not re.fullmatch(r"[A-Za-z0-9.-]+", plain):
        return value
    raise reject("wrong_form", f"must be written in its ASCII form, {plain}")


def _check_name_server(value: str) -> str:
    found = re.fullmatch(r"(\[[^\]]+\]|[^:]+|[0-9A-Fa-f:.]+)(?::(\d{1,5}))?", value)
    if found is None or not 0 < int(found[2] or 53) < 65536:
        raise reject("wrong_form", "must be ADDRESS or ADDRESS:PORT, with IPv6 in brackets")
    _check_host(found[1])
    return value


def is_secret_option(name: str) -> bool:
    """Return whether an option of a DNS provider is, by its name, a login, a token or a key."""
    words = set(re.split("[_-]", name))
    if words & {"token", "password", "secret", "key", "passphrase", "psk"}:
        return True
    return name.startswith("auth") and not words & {"username", "user", "entrypoint", "method"}


def _check_server_path(value: str) -> str:
    parts = value.split("/")
    if not re.fullmatch(r"/[A-Za-z0-9._/-]{0,199}", value) or ".." in parts:
        raise reject("wrong_form", f"must be {_PATH_FORM}")
    cleaned = "/" + "/".join(part for part in parts if part not in {"", "."})
    if cleaned in _SYSTEM_FOLDERS or len(cleaned.split("/")) < 3:
        raise reject("system_folder", f"{cleaned} belongs to the system; use a folder below it")
    for folder, why in _UNSUITABLE_FOLDERS.items():
        if cleaned.startswith(f"{folder}/"):
            raise reject(
                "system_folder",
                f"{cleaned} cannot store images: {folder} {why}. Use a folder on a disk, such as "
                "/srv/registry",
            )
    return cleaned


_UNSUITABLE_FOLDERS = {
    "/proc": "is a kernel file system",
    "/sys": "is a kernel file system",
    "/dev": "holds device files",
    "/run": "is in memory and cleared at boot",
    "/var/run": "is in memory and cleared at boot",
    "/tmp": "is cleared at boot",  # noqa: S108 # nothing is written there
    "/var/tmp": "is regularly cleared of old files",  # noqa: S108 # likewise
}
_SYSTEM_FOLDERS = {f"/var/{name}" for name in ("lib", "log", "cache", "spool", "tmp", "run")} | {
    "/usr/lib", "/usr/bin", "/usr/local", "/usr/share", "/etc/nginx", "/etc/moorage",
    "/var/lib/moorage", "/var/lib/docker", "/var/lib/containers",
}  # fmt: skip


def _check_no_control(value: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise reject("control_character", "must not contain line breaks or control characters")
    return value


def _check_not_boolean(value: object) -> object:
    # YAML's true and false are numbers to Python, and so is text.
    if isinstance(value, bool):
        raise reject("not_a_number", "must be a whole number")
    if isinstance(value, str) and re.fullmatch(r"0[0-9]+", value):
        raise reject("not_a_number", "must be a whole number without a zero before it")
    return value


def _check_setting(value: object, at: tuple[str | int, ...] = ()) -> object:
    """Return a copy of a setting that both YAML and JSON can represent without loss.

    Args:
        value: The setting.
        at: Its path.
    """
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise reject(
                    "not_text", "must only have text as keys; put numbers and dates in quotes", at
                )
        return {_check_setting(key, at): _check_setting(each, (*at, key))
                for key, each in value.items()}  # fmt: skip
    if isinstance(value, (list, tuple)):
        return [_check_setting(each, (*at, place)) for place, each in enumerate(value)]
    if isinstance(value, str):
        if re.search("[\ud800-\udfff]", value):
            raise reject("not_unicode", "contains an invalid Unicode character", at)
        return value
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise reject(
            "too_large", "contains a number larger than 64 bits; put it in quotes if it is text", at
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise reject("not_finite", "contains a number that is not finite", at)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise reject(
        "wrong_type",
        "must be text, numbers, true, false, lists and sections; put dates in quotes",
        at,
    )


def _check_settings(value: object) -> object:
    if not isinstance(value, dict):
        raise reject("not_a_section", "must be keys and values of the registry's configuration")
    return _check_setting(value)


def _check_variable(value: object) -> object:
    if isinstance(value, (bool, int, str)):
        checked = _check_setting(value)
        return _check_no_control(checked) if isinstance(checked, str) else checked
    if isinstance(value, float):
        raise reject(
            "wrong_type", "must be text, a whole number, true or false; quote other values"
        )
    if value is None:
        raise reject("missing_value", 'needs a value; write "" for an empty one')
    if isinstance(value, list):
        raise reject("wrong_type", "must be text; put the list in quotes, for example '[a, b]'")
    return read_reference(value)


Domain = Annotated[
    str,
    AfterValidator(_check_ascii_name),
    matching(
        # An IP address is not a name: its last part is all digits.
        rf"({_LABEL}\.)+(?!\d+$){_LABEL}",
        "a DNS name such as registry.example.com",
        longest=253,
    ),
    AfterValidator(str.lower),
]
Host = Annotated[str, AfterValidator(_check_host)]
Address = Annotated[str, Field(max_length=64), AfterValidator(_check_address)]
DnsName = Annotated[
    str,
    matching(
        r"([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}"
        r"[A-Za-z0-9_])?\.?",
        "a DNS name such as example.com",
        longest=254,
    ),
    AfterValidator(lambda name: name.lower().removesuffix(".")),
]
NameServer = Annotated[str, AfterValidator(_check_name_server)]
OptionName = Annotated[
    str, matching(r"[a-z][a-z0-9_-]*", "a provider option such as auth_token", 64)
]
ServerPath = Annotated[str, AfterValidator(_check_server_path)]
LocalPath = Annotated[
    str, Field(min_length=1, max_length=4096), AfterValidator(_check_no_control), OPERATOR_ONLY
]


def check_local_path(name: str, what: str) -> str:
    """Return the path of a local file that becomes part of the answers.

    Args:
        name: The path, from outside of an answers file.
        what: What the file is, for the error.

    Raises:
        LocalFileError: Answers cannot have this path.
    """
    try:
        return TypeAdapter(LocalPath).validate_python(name)
    except ValidationError:
        fault = "cannot be used: its path has control characters or is not UTF-8"
        raise LocalFileError(name, fault, what, advice="Rename it.") from None


Text = Annotated[str, Field(max_length=1024), AfterValidator(_check_no_control)]
LoginName = Annotated[
    str, matching(r"[A-Za-z_][A-Za-z0-9_.-]*\$?", "a login name such as root or deploy", 64)
]
UserName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9_][A-Za-z0-9._@+$\\-]*",
        r"letters, digits and any of . _ @ + - $ \ (the first a letter, digit or _)",
        longest=128,
    ),
]
REPOSITORY_RULE = rf"({_COMPONENT}/)*{_COMPONENT}(/\*)?"
"""A pattern for the name of a repository, or of all below a folder."""
RepositoryRule = Annotated[
    str,
    matching(
        REPOSITORY_RULE,
        "a repository such as team-a/app, or team-a/* for all below team-a: lower-case letters and "
        "digits, with . _ - between them",
    ),
]
ImageName = Annotated[
    str,
    matching(
        r"([A-Za-z0-9.-]+(:\d+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?"
        r"(@sha256:[0-9a-f]{64})?",
        "an image such as docker.io/library/registry:3.1.1",
    ),
]
WHOLE_NUMBER = BeforeValidator(_check_not_boolean)
"""Rejects true and false; comes after a whole number's limits."""
Port = Annotated[int, Field(ge=1, le=65535), WHOLE_NUMBER]
PROCESS_VARIABLE = (
    r"(?:HTTPS?|NO)_PROXY|(?:https?|no)_proxy|(?:AWS|AZURE|OTEL)_[A-Z0-9_]+|TZ|SSL_CERT_(?:FILE|DIR)"
    r"|GOOGLE_APPLICATION_CREDENTIALS|GODEBUG|GOGC|GOMAXPROCS"
)
"""A pattern for the variables that the registry's process reads besides its configuration."""
EnvironmentName = Annotated[
    str,
    matching(
        rf"REGISTRY_[A-Z0-9_]+|REGISTRY_HTTP_HEADERS_[A-Za-z0-9-]+|{PROCESS_VARIABLE}",
        "a name in capitals that begins with REGISTRY_, or a variable of the process: HTTP_PROXY, "
        "HTTPS_PROXY, NO_PROXY, AWS_..., AZURE_..., OTEL_..., SSL_CERT_FILE, TZ",
    ),
]


def _check_version(value: object) -> object:
    # YAML reads 3.1 as a number.
    return str(value) if isinstance(value, (int, float)) else value


RegistryVersion = Annotated[
    Literal["2.8", "3.0", "3.1", "3"],
    BeforeValidator(_check_version),
    WithJsonSchema({"enum": ["2.8", "3.0", "3.1", "3", 2.8, 3.0, 3.1, 3]}),
]


def _check_environment(value: object) -> object:
    """Return a mapping for a list of ``NAME=value``, as compose files have it."""
    if not isinstance(value, list):
        return value
    variables: dict[str, str] = {}
    for place, item in enumerate(value):
        name, equals, text = item.partition("=") if isinstance(item, str) else ("", "", "")
        if not equals:
            raise reject("wrong_form", "must be NAME=value", (place,))
        if name in variables:
            raise reject("duplicate", f"sets {name} a second time", (place,))
        variables[name] = text
    return variables


Settings = Annotated[
    dict[str, Any], PlainValidator(_check_settings), WithJsonSchema({"type": "object"})
]
Variable = Annotated[
    str | int | bool | SecretReference,
    PlainValidator(_check_variable),
    PlainSerializer(dump_reference),
    WithJsonSchema({"anyOf": [{"type": ["string", "integer", "boolean"]}, REFERENCE_SCHEMA]}),
]
Environment = Annotated[
    dict[EnvironmentName, Variable],
    BeforeValidator(_check_environment, dict[EnvironmentName, Variable] | list[str]),
]


Runtime = Literal["docker", "podman", "package"]
