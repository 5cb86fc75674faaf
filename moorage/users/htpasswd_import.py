"""Import users from an htpasswd file, and report the lines that cannot be used."""

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
from moorage.local_file import read_file

LARGEST_FILE = 8 * 1024**2
"""Bytes: some 100,000 users."""

OnExisting = Literal["keep", "replace"]
"""Whether an existing user keeps their password or gets the file's."""

# nginx reads htpasswd files through a buffer of 2048 bytes.
_LONGEST_LINE = 1024
_LONGEST_SHOWN = 60
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BCRYPT_COSTS = range(4, 16)
# The last characters of salt and hash have unused bits. crypt(3) clears them, so a hash in which
# they are set is never equal to its result.
_CANONICAL_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$.{21}[.Oeu].{30}[.CGKOSWaeimquy26]")
_MOST_ROUNDS = 1_000_000
_ROUNDS = re.compile(r"\$[56]\$rounds=(\d+)\$")
_DES = re.compile(r"[./0-9A-Za-z]{13}")
_HASH_BEGINS = re.compile(r"\$[0-9a-z]{1,7}\$|\{[A-Za-z0-9]+\}")
_IN_UTF_16 = "the file is in UTF-16; 'iconv -f UTF-16 -t UTF-8 FILE > NEW' converts it"
_ADVICE = "give this user a new password"
_DAMAGED = "hash is damaged or of an unknown variant"
_ACCEPTED = "Moorage accepts bcrypt, yescrypt, apr1 and SHA-crypt"
# By prefix; the first match applies.
_UNSUPPORTED = {
    "{SHA}": "its hash is SHA-1, which attackers test billions of times a second",
    "{SSHA}": "its hash is SHA-1, which attackers test billions of times a second",
    "{PLAIN}": "its password is in plain text",
    "$1$": "its hash is MD5-crypt ($1$), which attackers test millions of times a second",
    "$md5": f"its hash is Sun MD5; {_ACCEPTED}",
    "$sha1$": f"its hash is SHA-1 crypt; {_ACCEPTED}",
    "$3$": "its hash is NTLM ($3$), which attackers test billions of times a second",
    "$2x$": "its hash is bcrypt of the variant 2x, which has a known flaw",
    "$2": f"its bcrypt {_DAMAGED}",
    "$apr1$": f"its apr1 {_DAMAGED}",
    "$5$": f"its SHA-256 crypt {_DAMAGED}",
    "$6$": f"its SHA-512 crypt {_DAMAGED}",
    "$y$": "its yescrypt hash is damaged, or a login takes more than 64 MiB of memory",
    "$gy$": f"its hash is gost-yescrypt; {_ACCEPTED}",
    "$7$": f"its hash is scrypt; {_ACCEPTED}",
    "$argon2": f"its hash is Argon2, which nginx cannot check; {_ACCEPTED}",
    "$pbkdf2": f"its hash is PBKDF2, which nginx cannot check; {_ACCEPTED}",
    "$": f"its hash is of an unknown kind; {_ACCEPTED}",
    "{": f"its hash is of an unknown kind; {_ACCEPTED}",
    "_": f"its hash looks like BSDi crypt; {_ACCEPTED}",
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
    """A line that cannot be imported.

    Attributes:
        line: The line, from 1.
        name: The user's name, if it can be shown; never a hash.
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
    """The content of an htpasswd file: each line that is not empty or a comment, once."""

    users: tuple[ImportedUser, ...]
    rejected: tuple[RejectedLine, ...]


@dataclass(frozen=True)
class ImportResult:
    """The users after an import.

    Attributes:
        users: All of them.
        added: Names of new users.
        replaced: Names of users who got the file's password.
        kept: Names of users who kept their password although the file has another one.
        rejected: Lines that cannot be imported, in order.
    """

    users: tuple[RegistryUser, ...]
    added: tuple[str, ...]
    replaced: tuple[str, ...]
    kept: tuple[str, ...]
    rejected: tuple[RejectedLine, ...]


def parse_htpasswd(content: bytes) -> HtpasswdFile:
    """Read an htpasswd file. Never raises, whatever is in it.

    As in nginx, the first line for a name counts, even if it cannot be imported: nobody has ever
    logged in with a later one.

    Args:
        content: The file.
    """
    if content.startswith(_UTF_16):
        return HtpasswdFile((), (RejectedLine(1, "", _IN_UTF_16),))
    users: list[ImportedUser] = []
    rejected: list[RejectedLine] = []
    seen: dict[str, tuple[str, int]] = {}
    for number, line in _lines(content):
        name, value, reason = _read(line)
        before = seen.get(name.lower()) if name else None
        if before is not None:
            again = (
                f"repeats line {before[1]}, which is the one nginx uses"
                if before[0] == name
                else f"differs from {before[0]} in line {before[1]} only in case"
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
    """Add a file's users to the current ones.

    Existing users always keep their access and repositories, and stay disabled if they are.

    Args:
        users: The current users.
        file: The result of :func:`parse_htpasswd`.
        access: The access of new users.
        repositories: The repositories of new users; all if empty.
        on_existing: Whether an existing user keeps their password or gets the file's.
    """
    existing = {user.name.lower(): user for user in users}
    merged = {user.name: user for user in users}
    added, replaced, kept = [], [], []
    rejected = list(file.rejected)
    rules = tuple(repositories)
    for each in file.users:
        known = existing.get(each.name.lower())
        if known is None:
            merged[each.name] = RegistryUser(each.name, each.hash, access, rules)
            added.append(each.name)
        elif known.name != each.name:
            reason = f"differs from the existing user {known.name} only in case"
            rejected.append(RejectedLine(each.line, each.name, reason))
        elif known.hash == each.hash:
            # A user from that very file can have had a login but no access until now.
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


def read_htpasswd(path: str) -> bytes:
    """Return the content of an htpasswd file on this machine.

    Raises:
        LocalFileError: It cannot be read, or is too large to be an htpasswd file.
    """
    return read_file(path, largest=LARGEST_FILE, pipes=True)


def check_size(content: bytes, name: str) -> None:
    """Raise MoorageError if a file is too large to be an htpasswd file."""
    if len(content) > LARGEST_FILE:
        raise _TooLarge(f"{name} is larger than {LARGEST_FILE // 1024**2} MiB.")


class _TooLarge(MoorageError):
    exit_code = ExitCode.USAGE
    code = "file_too_large"


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each line that is not empty or a comment, with its number."""
    for number, line in enumerate(_LINE_END.split(content.removeprefix(_BOM)), 1):
        # For nginx and htpasswd, a comment begins in the first column.
        if line.strip() and not line.startswith(b"#"):
            yield number, line


def _read(line: bytes) -> tuple[str, str, str]:
    """Return a line's name and hash, and why it cannot be imported (or empty)."""
    if len(line) > _LONGEST_LINE:
        return "", "", f"is longer than {_LONGEST_LINE} bytes, which nginx cannot read"
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "", "", "is not UTF-8"
    name, separator, rest = text.partition(":")
    if not separator:
        return "", "", "has no colon; expected NAME:HASH"
    value = rest.partition(":")[0].rstrip(" \t")
    if value.startswith("$$"):
        # As compose files have it, where $ has to be doubled.
        value = value.replace("$$", "$")
    problem = _name_problem(name)
    if problem:
        return _shown(name) if _looks_like_hash(value) else "", "", problem
    return name, value, _hash_problem(value)


def _looks_like_hash(value: str) -> bool:
    return bool(_HASH_BEGINS.match(value) or _DES.fullmatch(value))


def _shown(name: str) -> str:
    """Return a name to show; empty if it could be a hash, because the two were swapped."""
    return "" if _looks_like_hash(name) else name[:_LONGEST_SHOWN]


@cache
def _names() -> TypeAdapter[str]:
    return TypeAdapter(UserName)


def _name_problem(name: str) -> str:
    try:
        _names().validate_python(name)
    except ValidationError as error:
        if not name:
            return "has no name before the colon"
        return f"invalid name: {error.errors()[0]['msg']}; give this user another name"
    return ""


def _hash_problem(value: str) -> str:
    try:
        Hash(value)
    except ValueError:
        return _unsupported_hash(value)
    if value.startswith("$2"):
        if int(value[4:6]) not in _BCRYPT_COSTS:
            return f"its bcrypt hash has cost {value[4:6]}; the cost must be 4 to 15"
        if not _CANONICAL_BCRYPT.fullmatch(value):
            return f"its bcrypt hash is damaged: no password matches it; {_ADVICE}"
    rounds = _ROUNDS.match(value)
    if rounds and int(rounds[1]) > _MOST_ROUNDS:
        return f"its hash has {rounds[1]} rounds (maximum {_MOST_ROUNDS})"
    return ""


def _unsupported_hash(value: str) -> str:
    """Return why a hash cannot be used, and what to do."""
    for prefix, reason in _UNSUPPORTED.items():
        if value.startswith(prefix):
            return f"{reason}; {_ADVICE}"
    if not value:
        return f"has no hash; {_ADVICE}"
    if _DES.fullmatch(value):
        return f"its hash looks like DES crypt, which ignores all but 8 characters; {_ADVICE}"
    return f"the part after the colon looks like a password in plain text, not a hash; {_ADVICE}"
