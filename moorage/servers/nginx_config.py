"""Parse the output of ``nginx -V -T``.

crossplane, the existing parser, reads only files on disk and was last released in 2022; nginx's
grammar (ngx_conf_file.c) is small.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from moorage.servers.nginx_facts import NginxFacts, NginxListen, NginxServer

_FILE = re.compile(r"^# configuration file (/.*):$", re.MULTILINE)
_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
    | (?P<mark>[{};])
    | "(?P<double>(?:[^"\\]|\\.)*)"
    | '(?P<single>(?:[^'\\]|\\.)*)'
    | (?P<word>(?:\\.|\$\{[^}\s]{0,200}\}|[^\s;{\\])+)
    """,
    re.VERBOSE | re.DOTALL,
)
_LUA = re.compile(r"""--\[\[|--[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{}]""", re.DOTALL)
_DEEPEST = 20
_MOST_STATEMENTS = 100_000
_KINDS: dict[str, Literal["http", "stream", "mail"]] = {
    "http": "http",
    "stream": "stream",
    "mail": "mail",
}
_LONGEST_FAULT = 300


def read_nginx(dump: str, maintainer: str, managed: Sequence[str]) -> NginxFacts:
    """Return the facts in nginx's output.

    Args:
        dump: The output of ``nginx -V -T``: how it was built, messages and all files.
        maintainer: The package's maintainer.
        managed: Moorage's own files and folders.
    """
    messages = _FILE.split(dump, maxsplit=1)[0]
    version = re.search(r"nginx version: \S*?/([0-9.]+)", messages)
    compiled = {
        what: found[1] if (found := re.search(rf"--{what}=(\S+)", messages)) else ""
        for what in ("user", "group")
    }
    user = compiled["user"] or "nobody"  # nginx's default on Debian
    reader = _Reader(_split(dump), managed)
    reader.read_all()
    words = reader.user
    fault = re.search(r"\[emerg\] (?:\d+#\d+: )?(.*)", messages)
    if words:
        user, group = words[0], words[1] if len(words) > 1 else words[0]
    else:
        group = compiled["group"] or compiled["user"] or "nogroup"
    if not reader.files:
        # nginx rejected its configuration and printed none of it: the workers' user is unknown.
        user = group = ""
    return NginxFacts(
        version=version[1] if version else "",
        user=user,
        group=group,
        maintainer=maintainer,
        servers=tuple(each.facts() for each in reader.servers),
        http=reader.http,
        late=reader.late,
        cuts_transfers=reader.cuts_transfers,
        loads_njs=reader.loads_njs,
        includes_site=reader.reached_own or not reader.files,
        fault=fault[1][:_LONGEST_FAULT] if fault else "",
    )


def _split(dump: str) -> dict[str, str]:
    """Return the files of a dump by path, the main one first."""
    parts = _FILE.split(dump)[1:]
    files: dict[str, str] = {}
    for path, text in zip(parts[::2], parts[1::2], strict=True):
        files.setdefault(path, text)
    return files


@dataclass
class _Server:
    file: str
    kind: Literal["http", "stream", "mail"]
    comes_first: bool
    listens: list[NginxListen] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    has_ssl_on: bool = False

    def facts(self) -> NginxServer:
        listens = self.listens
        if not listens and self.kind == "http":
            listens = [NginxListen("*", 80, 80)]
        if self.has_ssl_on:
            listens = [
                NginxListen(each.address, each.first, each.last, each.options | {"ssl"})
                for each in listens
            ]
        return NginxServer(
            self.file, self.kind, tuple(listens), tuple(self.names), self.comes_first
        )


class _Reader:
    """Walks a configuration as nginx does, following includes."""

    def __init__(self, files: Mapping[str, str], managed: Sequence[str]) -> None:
        self.files = files
        self.servers: list[_Server] = []
        self.http: dict[str, str] = {}
        self.late: dict[str, str] = {}
        self.user: list[str] = []
        self.cuts_transfers = ""
        self.loads_njs = False
        self.reached_own = False
        self._managed = managed
        self._folder = posixpath.dirname(next(iter(files), "/etc/nginx/nginx.conf"))
        self._left = _MOST_STATEMENTS
        # The position of Moorage's site, even a future one, decides which server comes first.
        self._known = sorted({*files, *(path for path in managed if path.endswith(".conf"))})
        self._matching: dict[str, list[str]] = {}

    def read_all(self) -> None:
        """Read the whole configuration, starting at the main file."""
        main = next(iter(self.files), None)
        if main is not None:
            self._read(main, [], 0)

    def _is_own(self, path: str) -> bool:
        return any(path == each or path.startswith(f"{each}/") for each in self._managed)

    def _read(self, path: str, around: list[str], depth: int) -> None:
        if depth > _DEEPEST:
            return
        blocks = list(around)
        for name, words, opens in _statements(self.files[path]):
            self._left -= 1
            if self._left < 0:
                return
            if name == "}":
                # An included file cannot close what it did not open.
                if len(blocks) > len(around):
                    blocks.pop()
            elif name == "include" and words and not opens:
                self._include(words[0], blocks, depth)
            else:
                self._take(path, blocks, name, words)
                if opens:
                    blocks.append(name)

    def _include(self, pattern: str, blocks: list[str], depth: int) -> None:
        if not pattern.startswith("/"):
            pattern = f"{self._folder}/{pattern}"
        if pattern not in self._matching:
            self._matching[pattern] = [path for path in self._known if _matches(path, pattern)]
        for path in self._matching[pattern]:
            if self._is_own(path):
                self.reached_own = self.reached_own or blocks == ["http"]
            elif path in self.files:
                self._read(path, blocks, depth + 1)

    def _take(self, path: str, blocks: list[str], name: str, words: list[str]) -> None:
        if not blocks:
            if name == "user":
                self.user = words
            # 0 means no limit.
            if name == "worker_shutdown_timeout" and words and words[0].strip("0mshdwMy"):
                self.cuts_transfers = path
            if name == "load_module" and words:
                self.loads_njs = self.loads_njs or "ngx_http_js_module" in words[0]
        elif len(blocks) == 1 and name == "server" and blocks[0] in _KINDS:
            self.servers.append(_Server(path, _KINDS[blocks[0]], not self.reached_own))
        elif blocks == ["http"]:
            self.http.setdefault(name, path)
            if self.reached_own:
                self.late.setdefault(name, path)
        elif len(blocks) == 2 and blocks[1] == "server" and blocks[0] in _KINDS and self.servers:
            server = self.servers[-1]
            if name == "listen" and (listen := read_listen(words)) is not None:
                server.listens.append(listen)
            elif name == "server_name":
                server.names += [word.lower() for word in words]
            elif name == "ssl" and words == ["on"]:
                server.has_ssl_on = True


def listens_in(text: str) -> tuple[NginxListen, ...]:
    """Return every ``listen`` in one file, except for unix sockets.

    Args:
        text: The file's content.
    """
    found = (read_listen(words) for name, words, _ in _statements(text) if name == "listen")
    return tuple(each for each in found if each is not None)


def read_listen(words: Sequence[str]) -> NginxListen | None:
    """Parse a ``listen`` directive; return None for unix sockets, QUIC and invalid ones.

    Args:
        words: The words between ``listen`` and the semicolon.
    """
    if not words or words[0].startswith("unix:") or {"quic", "udp"} & set(words):
        return None
    first = words[0]
    options = frozenset(words[1:])
    found = re.fullmatch(r"(?:(\[[0-9a-fA-F:.]+\]|[^:\[\]]+):)?(\d+)(?:-(\d+))?", first)
    address, begin, end = (found[1] or "*", found[2], found[3]) if found else (first, "80", None)
    if max(len(begin), len(end or "")) > 5:
        return None
    return NginxListen(_plain(address), int(begin), int(end or begin), options)


def _plain(address: str) -> str:
    """Return an address in the canonical form used for comparisons."""
    if address == "localhost":
        return "127.0.0.1"
    try:
        parsed = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return address
    if parsed.version == 4:
        return "*" if parsed.is_unspecified else str(parsed)
    return f"[{parsed}]"


def _matches(path: str, pattern: str) -> bool:
    """Whether nginx's glob matches a path: a star matches neither slashes nor hidden files."""
    if path.count("/") != pattern.count("/"):
        return False
    return all(
        fnmatch.fnmatchcase(part, glob) and (part[:1] != "." or glob[:1] == ".")
        for part, glob in zip(path.split("/"), pattern.split("/"), strict=True)
    )


def _statements(text: str) -> Iterator[tuple[str, list[str], bool]]:
    """Yield each statement's name and words, and whether it opens a block; ``}`` closes one."""
    words: list[str] = []
    position = 0
    while found := _TOKEN.match(text, position):
        position = found.end()
        mark = found["mark"]
        if found["space"] is not None:
            continue
        if mark is None:
            forms = found.group("double", "single", "word")
            words.append(next(each for each in forms if each is not None))
            continue
        if mark == "{" and words and words[0].endswith("_by_lua_block"):
            position = _end_of_lua(text, position)
        elif mark == "}":
            yield "}", [], False
        elif words:
            yield words[0], words[1:], mark == "{"
        words = []


def _end_of_lua(text: str, position: int) -> int:
    """Return the position after the brace that closes a Lua block."""
    depth = 1
    while depth and (found := _LUA.search(text, position)):
        position = found.end()
        if found[0] == "--[[":
            end = text.find("]]", position)
            position = len(text) if end < 0 else end
        depth += {"{": 1, "}": -1}.get(found[0], 0)
    return position if depth == 0 else len(text)
