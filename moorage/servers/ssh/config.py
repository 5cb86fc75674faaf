"""Read the operator's ssh configuration the way ssh does (ssh_config(5)).

paramiko's reader supports neither Include nor several of the tokens, and rejects files with an
unknown Match criterion. This one is compared with ``ssh -G`` in the tests.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from moorage.errors import CannotConnect
from moorage.local_file import MEBIBYTE, LocalFileError, read_file
from moorage.servers.ssh.config_lookup import (
    Block,
    Line,
    Lookup,
    Settings,
    expand_environment,
    expand_home,
)

SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
_DEEPEST_INCLUDE = 16
_LARGEST = 8 * MEBIBYTE
_REST_OF_LINE = {"proxycommand", "proxyjump"}


class SshConfig:
    """Configuration files, read once.

    Args:
        files: The files in order of precedence, each with the base folder for relative Includes.
            Missing files count as empty.
        home: The home folder, the value of ``~`` and ``%d``.
    """

    def __init__(self, files: list[tuple[Path, Path]], home: Path | None = None) -> None:
        self.home = home or Path.home()
        self._lines: list[Line] = []
        for file, base in files:
            self._read(file, base, Block("host", ("*",), None), depth=0)

    @classmethod
    def load(cls, path: Path | None = None, home: Path | None = None) -> SshConfig:
        """Read the files that ssh would read.

        Args:
            path: A file to read instead of ~/.ssh/config and /etc/ssh/ssh_config, as with
                ``ssh -F``. Without it, the environment variable MOORAGE_SSH_CONFIG names one.
            home: The home folder, for tests.
        """
        home = home or Path.home()
        named = os.environ.get("MOORAGE_SSH_CONFIG")
        if path is None and named:
            path = Path(named)
        own = home / ".ssh"
        if path is not None:
            return cls([(path, own)], home)
        return cls([(own / "config", own), (SYSTEM_CONFIG, SYSTEM_CONFIG.parent)], home)

    def aliases(self) -> list[str]:
        """Return the names in Host lines that are not patterns, in order."""
        found: dict[str, None] = {}
        for line in self._lines:
            if line.keyword == "host":
                for pattern in line.arguments:
                    if not set(pattern) & set("*?!"):
                        found.setdefault(pattern)
        return list(found)

    def lookup(self, alias: str, user: str | None = None, port: int | None = None) -> Settings:
        """Return the settings for a host.

        Args:
            alias: The host as the operator writes it.
            user: The user, if already known; overrides the files.
            port: The SSH port, if already known; overrides the files.

        Raises:
            CannotConnect: A value is invalid, for example a port that is not a number.
        """
        return Lookup(self._lines, self.home, alias, user, port).settings()

    def _read(self, file: Path, base: Path, block: Block, depth: int) -> None:
        try:
            text = read_file(file, "ssh configuration", largest=_LARGEST).decode(errors="replace")
        except LocalFileError as error:
            if error.is_missing:
                return
            raise CannotConnect(
                error.message,
                advice=f"{error.advice} Or set MOORAGE_SSH_CONFIG to another file.".strip(),
                code="ssh_config_unreadable",
            ) from None
        if text.startswith("\ufeff"):
            raise CannotConnect(
                f"The ssh configuration {file} begins with a byte order mark, which ssh cannot "
                "read.",
                advice=f"Remove it: tail -c +4 {shlex.quote(str(file))} > NEW",
                code="ssh_config_invalid",
            )
        top = block
        for number, raw in enumerate(text.splitlines(), start=1):
            keyword, arguments = _split(raw)
            if not keyword:
                continue
            if keyword in {"host", "match"}:
                block = Block(keyword, arguments, top)
            elif keyword == "include":
                if depth < _DEEPEST_INCLUDE:
                    for name in arguments:
                        for included in self._included(name, base):
                            self._read(included, base, block, depth + 1)
                continue
            self._lines.append(Line(keyword, arguments, block, f"{file}:{number}"))

    def _included(self, name: str, base: Path) -> list[Path]:
        pattern = Path(expand_home(expand_environment(name), self.home))
        if not pattern.is_absolute():
            pattern = base / pattern
        relative = pattern.relative_to(pattern.anchor)
        return sorted(Path(pattern.anchor).glob(str(relative)))


@dataclass(frozen=True)
class Hop:
    """A jump host in ProxyJump."""

    host: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Hop:
        """Parse USER@HOST:PORT or ssh://USER@HOST:PORT; user and port are optional.

        Raises:
            ValueError: It is neither.
        """
        text = text.strip().removeprefix("ssh://").rstrip("/")
        user, _, place = text.rpartition("@")
        found = re.fullmatch(r"\[([0-9A-Fa-f:.%\w]+)\](?::(\d+))?|([^:\s]+)(?::(\d+))?", place)
        if found is None and re.fullmatch(r"[0-9A-Fa-f:.]+", place):
            return cls(place, user or None)  # a bare IPv6 address
        if found is None:
            raise ValueError(f"expected USER@HOST:PORT, not {text!r}")
        port = found[2] or found[4]
        return cls(found[1] or found[3], user or None, int(port) if port else None)


def _split(raw: str) -> tuple[str, tuple[str, ...]]:
    """Split a line into its keyword, in lower case, and its arguments."""
    found = re.match(r"\s*(\w+)(?:\s*=\s*|\s+|$)(.*)$", raw)
    if found is None:
        return "", ()
    keyword, rest = found[1].lower(), found[2].strip()
    if keyword in _REST_OF_LINE:
        return keyword, (rest,) if rest else ()
    return keyword, tuple(_arguments(rest))


def _arguments(text: str) -> Iterator[str]:
    """Split at blanks, honouring quotes; a # starts a comment."""
    word, quote, begun, index = "", "", False, 0
    while index < len(text):
        character = text[index]
        following = text[index + 1 : index + 2]
        if character == "\\" and following in {'"', "'", "\\"}:
            word, begun, index = word + following, True, index + 1
        elif quote:
            if character == quote:
                quote = ""
            else:
                word += character
        elif character in "\"'":
            quote, begun = character, True
        elif character in " \t":
            if begun:
                yield word
            word, begun = "", False
        elif character == "#" and not begun:
            return
        else:
            word, begun = word + character, True
        index += 1
    if begun:
        yield word
