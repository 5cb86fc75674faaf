"""Look up one host's settings in an ssh configuration (ssh_config(5))."""

from __future__ import annotations

import getpass
import os
import re
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from moorage.errors import CannotConnect

_ACCUMULATING = {"identityfile", "certificatefile"}


@dataclass(frozen=True)
class Settings:
    """One host's settings, with all values expanded.

    Attributes:
        alias: The name that was looked up.
        hostname: The address or name to connect to.
        user: The user to log in as.
        port: The SSH port.
        identity_files: Private keys to try, in order; empty if none are configured.
        certificate_files: Certificates for these keys and those in the agent.
        identities_only: Whether to ignore the agent's other keys.
        identity_agent: The agent's socket, None for ``$SSH_AUTH_SOCK``, ``none`` for no agent.
        proxy_jump: The jump hosts, each as USER@HOST:PORT.
        proxy_command: A command whose standard streams are the connection.
        known_hosts: Files with known host keys; new keys are added to the first.
        global_known_hosts: Files with known host keys that are only read.
        host_key_alias: The name under which to look up the host key.
        strict: StrictHostKeyChecking: ``ask``, ``yes``, ``no`` or ``accept-new``.
        hash_known_hosts: Whether to hash names in known_hosts.
        connect_timeout: Seconds to wait for a connection, or None.
    """

    alias: str
    hostname: str
    user: str
    port: int
    identity_files: tuple[Path, ...]
    certificate_files: tuple[Path, ...]
    identities_only: bool
    identity_agent: str | None
    proxy_jump: tuple[str, ...]
    proxy_command: str | None
    known_hosts: tuple[Path, ...]
    global_known_hosts: tuple[Path, ...]
    host_key_alias: str | None
    strict: str
    hash_known_hosts: bool
    connect_timeout: float | None


@dataclass(frozen=True, eq=False)
class Block:
    """A Host or Match line, or the part before the first one."""

    keyword: str
    arguments: tuple[str, ...]
    outer: Block | None


@dataclass(frozen=True)
class Line:
    keyword: str
    arguments: tuple[str, ...]
    block: Block
    location: str


class Lookup:
    """One pass over the lines for one host, or two if there is a Match final."""

    def __init__(
        self, lines: list[Line], home: Path, alias: str, user: str | None, port: int | None
    ) -> None:
        self._lines = lines
        self._home = home
        self._alias = alias
        self._target = alias
        self._local_user = _local_user()
        self._found: dict[str, tuple[str, ...]] = {}
        self._locations: dict[str, str] = {}
        self._lists: dict[str, list[str]] = {keyword: [] for keyword in _ACCUMULATING}
        if user is not None:
            self._found["user"] = (user,)
        if port is not None:
            self._found["port"] = (str(port),)

    def settings(self) -> Settings:
        self._pass_over(final=False)
        if any(line.keyword == "match" and "final" in str(line.arguments) for line in self._lines):
            self._target = self._hostname().lower()
            self._found["hostname"] = (self._target.replace("%", "%%"),)
            self._pass_over(final=True)
        jump, command = self._proxies()
        agent = self._one("identityagent")
        return Settings(
            alias=self._alias,
            hostname=self._hostname(),
            user=self._user(),
            port=self._port(),
            identity_files=self._listed("identityfile"),
            certificate_files=self._listed("certificatefile"),
            identities_only=self._yes("identitiesonly"),
            identity_agent=self._agent(agent) if agent else None,
            proxy_jump=jump,
            proxy_command=command,
            known_hosts=self._paths(
                "userknownhostsfile", ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
            ),
            global_known_hosts=self._paths(
                "globalknownhostsfile", ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
            ),
            host_key_alias=self._one("hostkeyalias"),
            strict=self._strict(),
            hash_known_hosts=self._yes("hashknownhosts"),
            connect_timeout=self._seconds("connecttimeout"),
        )

    # -- which lines apply -----------------------------------------------------------------------

    def _pass_over(self, *, final: bool) -> None:
        verdicts: dict[Block, bool] = {}
        for line in self._lines:
            # A block's criteria are evaluated at its start: later lines can change their values.
            if not self._applies(line.block, verdicts, final=final):
                continue
            if line.keyword in _ACCUMULATING:
                names = self._lists[line.keyword]
                names += [name for name in line.arguments[:1] if name not in names]
            elif line.keyword not in {"host", "match"} and line.arguments:
                keyword = line.keyword
                if keyword in {"proxyjump", "proxycommand"}:
                    keyword = "proxy"  # the first of the two wins
                    self._found.setdefault(keyword, (line.keyword, *line.arguments))
                else:
                    self._found.setdefault(keyword, line.arguments)
                self._locations.setdefault(keyword, line.location)

    def _applies(self, block: Block, verdicts: dict[Block, bool], *, final: bool) -> bool:
        if block not in verdicts:
            outer = block.outer is None or self._applies(block.outer, verdicts, final=final)
            verdicts[block] = outer and (
                _matches_any(self._target, block.arguments)
                if block.keyword == "host"
                else self._matches(list(block.arguments), final=final)
            )
        return verdicts[block]

    def _matches(self, criteria: list[str], *, final: bool) -> bool:
        while criteria:
            name, _, value = criteria.pop(0).partition("=")
            expected = not name.startswith("!")
            name = name.lstrip("!").lower()
            if name in {"all", "final", "canonical"}:
                verdict = name == "all" or final
            else:
                if not value:
                    value = criteria.pop(0) if criteria else ""
                verdict = self._meets(name, value)
            if verdict is not expected:
                return False
        return True

    def _meets(self, criterion: str, value: str) -> bool:
        patterns = tuple(value.split(","))
        if criterion == "host":
            return _matches_host(self._hostname(), patterns)
        if criterion == "originalhost":
            return _matches_host(self._alias, patterns)
        if criterion == "user":
            return _matches_any(self._user(), patterns)
        if criterion == "localuser":
            return _matches_any(self._local_user, patterns)
        if criterion == "exec":
            return _succeeds(self._expand(value))
        return False  # tagged, localnetwork and the like are rare and not supported

    # -- values ----------------------------------------------------------------------------------

    def _one(self, keyword: str) -> str | None:
        values = self._found.get(keyword)
        return values[0] if values else None

    def _yes(self, keyword: str) -> bool:
        return (self._one(keyword) or "no").lower() in {"yes", "true"}

    def _hostname(self) -> str:
        name = self._one("hostname")
        if name is None:
            return self._target
        return name.replace("%%", "\0").replace("%h", self._target).replace("\0", "%")

    def _user(self) -> str:
        return self._one("user") or self._local_user

    def _port(self) -> int:
        text = self._one("port") or "22"
        with suppress(OSError):  # as ssh does, take a name from /etc/services
            text = text if text.isdigit() else str(socket.getservbyname(text, "tcp"))
        if not text.isdigit() or not 1 <= int(text) <= 65535:
            raise self._invalid_value("port", f"Port must be from 1 to 65535, not {text!r}")
        return int(text)

    def _seconds(self, keyword: str) -> float | None:
        text = self._one(keyword)
        if text is None or text.lower() == "none":
            return None
        total = 0
        if not re.fullmatch(r"(\d+[smhdw]?)+", text.lower()):
            raise self._invalid_value(keyword, f"ConnectTimeout must be in seconds, not {text!r}")
        units = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
        for number, unit in re.findall(r"(\d+)([smhdw]?)", text.lower()):
            total += int(number) * units[unit]
        return float(total) or None

    def _strict(self) -> str:
        value = (self._one("stricthostkeychecking") or "ask").lower()
        return {"off": "no", "false": "no", "true": "yes"}.get(value, value)

    def _agent(self, value: str) -> str | None:
        if value.lower() == "none":
            return "none"
        if value == "SSH_AUTH_SOCK":
            return None
        if value.startswith("$") and not value.startswith("${"):
            return os.environ.get(value[1:]) or "none"
        return str(self._path(value))

    def _proxies(self) -> tuple[tuple[str, ...], str | None]:
        kind, *values = self._found.get("proxy", ("",))
        if not kind or values[0].lower() == "none":
            return (), None
        text = self._expand(values[0])
        if kind == "proxyjump":
            hops = tuple(hop.strip() for hop in text.split(",") if hop.strip())
            if hops[-1:] == (self._hostname(),) and not self._found.keys() & {"user", "port"}:
                problem = f"{hops[-1]} is its own jump host; 'Host * !{hops[-1]}' leaves it out"
                raise self._invalid_value("proxy", problem)
            return hops, None
        return (), text

    def _listed(self, keyword: str) -> tuple[Path, ...]:
        return tuple(self._path(name) for name in self._lists[keyword] if name.lower() != "none")

    def _paths(self, keyword: str, usual: tuple[str, ...]) -> tuple[Path, ...]:
        values = self._found.get(keyword, usual)
        return tuple(self._path(value) for value in values if value.lower() != "none")

    def _path(self, value: str) -> Path:
        return Path(expand_home(self._expand(expand_environment(value)), self._home))

    def _expand(self, value: str) -> str:
        tokens = {
            "%": "%",
            "d": str(self._home),
            "h": self._hostname(),
            "i": str(os.getuid()),
            "k": self._one("hostkeyalias") or self._alias,
            "L": socket.gethostname().partition(".")[0],
            "l": socket.gethostname(),
            "n": self._alias,
            "p": str(self._port()),
            "r": self._user(),
            "u": self._local_user,
        }
        return re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), value)

    def _invalid_value(self, keyword: str, problem: str) -> CannotConnect:
        location = self._locations.get(keyword)
        return CannotConnect(
            f"Invalid ssh configuration{f' ({location})' if location else ''}: {problem}.",
            server=self._alias,
            code="ssh_config_invalid",
        )


def _matches_any(value: str, patterns: tuple[str, ...]) -> bool:
    matched = False
    for pattern in patterns:
        # Square brackets have no special meaning in ssh's patterns.
        plain = pattern.lstrip("!").replace("[", "[[]")
        if fnmatchcase(value, plain):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _matches_host(value: str, patterns: tuple[str, ...]) -> bool:
    return _matches_any(value.lower(), tuple(pattern.lower() for pattern in patterns))


def expand_environment(value: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), value)


def expand_home(value: str, home: Path) -> str:
    if value == "~" or value.startswith("~/"):
        return str(home) + value[1:]
    return os.path.expanduser(value)  # noqa: PTH111  # ~user; a Path would raise for an unknown user


def _succeeds(command: str) -> bool:
    quiet = subprocess.DEVNULL
    try:
        ended = subprocess.run(
            ["sh", "-c", command], stdin=quiet, stdout=quiet, stderr=quiet, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def _local_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
