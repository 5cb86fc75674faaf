"""Reads the users of an htpasswd file that somebody else wrote, and reports what it cannot take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from moorage.answers.fields import UserName
from moorage.answers.secrets import Hash
from moorage.desired.users import Access, RegistryUser
from moorage.errors import ExitCode, MoorageError

LARGEST_FILE = 8 * 1024**2
"""Bytes: some 100,000 users."""

OnExisting = Literal["keep", "replace"]
"""Whether a user who is there already keeps their password or gets the file's."""

# nginx reads htpasswd files through a buffer of 2048 bytes.
_LONGEST_LINE = 1024
_BOM = b"\xef\xbb\xbf"
_BCRYPT_COSTS = range(4, 16)
_MOST_ROUNDS = 1_000_000
_ROUNDS = re.compile(r"\$[56]\$rounds=(\d+)\$")
_DES = re.compile(r"[./0-9A-Za-z]{13}")
_ADVICE = "give this user a new password"
_DAMAGED = "hash is damaged or of a variant that is not known"
# By what they begin with; the first that fits counts.
_FAULTS = {
    "{SHA}": "its hash is SHA-1, which is guessed by the billion a second",
    "{SSHA}": "its hash is SHA-1, which is guessed by the billion a second",
    "$1$": "its hash is MD5-crypt ($1$), which is guessed by the million a second",
    "$2": f"its bcrypt {_DAMAGED}",
    "$apr1$": f"its apr1 {_DAMAGED}",
    "$5$": f"its SHA-256 crypt {_DAMAGED}",
    "$6$": f"its SHA-512 crypt {_DAMAGED}",
    "$": "its hash is of a kind other than bcrypt, apr1 and SHA-crypt",
    "{": "its hash is of a kind other than bcrypt, apr1 and SHA-crypt",
}


@dataclass(frozen=True)
class ImportedUser:
    """A user of the file.

    Attributes:
        line: The line, from 1.
    """

    line: int
    name: str
    hash: str = field(repr=False)


@dataclass(frozen=True)
class RejectedLine:
    """A line that gives no user.

    Attributes:
        line: The line, from 1.
        name: The user's name, as far as it can be shown; never a hash.
        reason: Why, and what to do about it.
    """

    line: int
    name: str
    reason: str

    def __str__(self) -> str:
        who = f", {self.name}" if self.name else ""
        return f"line {self.line}{who}: {self.reason}"


@dataclass(frozen=True)
class HtpasswdFile:
    """What an htpasswd file holds: every line that is neither empty nor a comment, once."""

    users: tuple[ImportedUser, ...]
    rejected: tuple[RejectedLine, ...]


@dataclass(frozen=True)
class ImportResult:
    """The users with those of a file among them.

    Attributes:
        users: All of them.
        added: Names that are new.
        replaced: Names of users who got the file's password.
        kept: Names of users who kept theirs, though the file has another one for them.
        rejected: Lines that could not be taken, in order.
    """

    users: tuple[RegistryUser, ...]
    added: tuple[str, ...]
    replaced: tuple[str, ...]
    kept: tuple[str, ...]
    rejected: tuple[RejectedLine, ...]


def parse_htpasswd(content: bytes) -> HtpasswdFile:
    """Read an htpasswd file. Never raises, whatever is in it.

    The first line of a name counts, as it does for nginx, even when it cannot be taken: a later
    one has never let anybody in.

    Args:
        content: The file.
    """
    users: list[ImportedUser] = []
    rejected: list[RejectedLine] = []
    seen: dict[str, tuple[str, int]] = {}
    for number, line in _lines(content):
        name, value, reason = _read(line)
        before = seen.get(name.lower()) if name else None
        if before is not None:
            again = (
                f"is in line {before[1]} already, which counts"
                if before[0] == name
                else f"differs from {before[0]} in line {before[1]} in capitals only"
            )
            rejected.append(RejectedLine(number, name, again))
            continue
        if name:
            seen[name.lower()] = (name, number)
        if reason:
            rejected.append(RejectedLine(number, name, reason))
        else:
            users.append(ImportedUser(number, name, value))
    return HtpasswdFile(tuple(users), tuple(rejected))


def merge(
    users: Sequence[RegistryUser],
    file: HtpasswdFile,
    access: Access,
    repositories: Iterable[str] = (),
    on_existing: OnExisting = "keep",
) -> ImportResult:
    """Add a file's users to those who are there.

    Who is there already keeps access, repositories and being disabled in any case.

    Args:
        users: The users as they are.
        file: What :func:`parse_htpasswd` returned.
        access: What new users may do.
        repositories: Where; everywhere when empty.
        on_existing: What happens to the password of a user who is there already.
    """
    there = {user.name.lower(): user for user in users}
    merged = {user.name: user for user in users}
    added, replaced, kept = [], [], []
    rejected = list(file.rejected)
    rules = tuple(repositories)
    for each in file.users:
        known = there.get(each.name.lower())
        if known is None:
            merged[each.name] = RegistryUser(each.name, each.hash, access, rules)
            added.append(each.name)
        elif known.name != each.name:
            reason = f"differs from the user {known.name}, who is there already, in capitals only"
            rejected.append(RejectedLine(each.line, each.name, reason))
        elif known.hash == each.hash:
            # Somebody who was let in by that very file may have had no access until now.
            if known.access is None:
                merged[each.name] = replace(known, access=access, repositories=rules)
                added.append(each.name)
        elif on_existing == "replace":
            merged[each.name] = replace(known, hash=each.hash)
            replaced.append(each.name)
        else:
            kept.append(each.name)
    rejected.sort(key=lambda each: each.line)
    return ImportResult(
        tuple(merged.values()), tuple(added), tuple(replaced), tuple(kept), tuple(rejected)
    )


def check_size(content: bytes, name: str) -> None:
    """Raise MoorageError when a file is too large to be an htpasswd file."""
    if len(content) > LARGEST_FILE:
        raise _TooLarge(f"{name} is larger than {LARGEST_FILE // 1024**2} MiB.")


class _TooLarge(MoorageError):
    exit_code = ExitCode.USAGE
    code = "file_too_large"


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that mean something, with their numbers."""
    for number, line in enumerate(content.removeprefix(_BOM).split(b"\n"), 1):
        # As nginx and htpasswd have it, a comment begins in the first column.
        if line.strip() and not line.startswith(b"#"):
            yield number, line.rstrip(b"\r")


def _read(line: bytes) -> tuple[str, str, str]:
    """Return a line's name, hash, and why it cannot be taken, or empty."""
    if len(line) > _LONGEST_LINE:
        return "", "", f"has more than {_LONGEST_LINE} bytes; nginx would not read it"
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "", "", "is not UTF-8"
    name, separator, rest = text.partition(":")
    if not separator:
        return "", "", "has no colon; wanted: NAME:HASH"
    fault = _name_problem(name)
    if fault:
        # Somebody who mixed the two up has a hash or a password where the name belongs.
        return "", "", fault
    value = rest.partition(":")[0].rstrip(" \t")
    return name, value, _hash_problem(value)


@cache
def _names() -> TypeAdapter[str]:
    return TypeAdapter(UserName)


def _name_problem(name: str) -> str:
    try:
        _names().validate_python(name)
    except ValidationError as error:
        if not name:
            return "has no name before the colon"
        return f"its name cannot be: {error.errors()[0]['msg']}"
    return ""


def _hash_problem(value: str) -> str:
    try:
        Hash(value)
    except ValueError:
        return _unsupported_hash(value)
    if value.startswith("$2") and int(value[4:6]) not in _BCRYPT_COSTS:
        return f"its bcrypt hash has cost {value[4:6]}; 4 to 15 can be checked in time"
    rounds = _ROUNDS.match(value)
    if rounds and int(rounds[1]) > _MOST_ROUNDS:
        return f"its hash takes {rounds[1]} rounds; {_MOST_ROUNDS} can be checked in time"
    return ""


def _unsupported_hash(value: str) -> str:
    """Say what is wrong with something that is no hash that can be taken."""
    for prefix, fault in _FAULTS.items():
        if value.startswith(prefix):
            return f"{fault}; {_ADVICE}"
    if not value:
        return f"has no hash; {_ADVICE}"
    if _DES.fullmatch(value):
        return f"its hash looks like DES crypt, which only takes 8 characters; {_ADVICE}"
    return f"what follows the colon is no hash but, it seems, a password in clear; {_ADVICE}"
