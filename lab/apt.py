"""The machine's apt configuration, adapted to a server's Debian release.

Only sources of the Debian archive are used: a bare server has no third-party repositories.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from lab.errors import LabError
from lab.process import run_program

SUITES = ("bullseye", "bookworm", "trixie")
POCKETS = ("-updates", "-security", "-backports")
_RUNS_PROGRAMS = re.compile(r"(Pre|Post)-Invoke|Pre-Install-Pkgs", re.IGNORECASE)

SERVER_SETTINGS = """\
// Keep packages in the cache, which lab servers share.
APT::Keep-Downloaded-Packages "true";
Binary::apt::APT::Keep-Downloaded-Packages "true";
// Translated descriptions only take time.
Acquire::Languages "none";
"""


@dataclass(frozen=True)
class Source:
    """One repository of the Debian archive."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str | None = None
    trusted: bool = False

    def for_suite(self, machine: str, target: str) -> Source:
        """Return the same repository for another release.

        Args:
            machine: The release of this source.
            target: The release to return it for.
        """
        suite = self.suite.replace(machine, target, 1)
        return Source(self.uri, suite, self.components, self.signed_by, self.trusted)

    def as_deb822(self) -> str:
        """Return the source as a stanza of a .sources file."""
        lines = [
            "Types: deb",
            f"URIs: {self.uri}",
            f"Suites: {self.suite}",
            f"Components: {' '.join(self.components)}",
        ]
        if self.signed_by:
            lines.append(f"Signed-By: {self.signed_by}")
        if self.trusted:
            lines.append("Trusted: yes")
        return "\n".join(lines) + "\n"


def machine_suite(release_file: Path = Path("/etc/os-release")) -> str:
    """Return the code name of the Debian release on this machine.

    Args:
        release_file: The os-release file.

    Raises:
        LabError: This is not Debian.
    """
    found = re.search(r'^VERSION_CODENAME="?(\w+)', release_file.read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise LabError(f"{release_file} has no VERSION_CODENAME: the lab needs Debian")
    return found[1]


def read_sources(apt_folder: Path = Path("/etc/apt"), suite: str | None = None) -> list[Source]:
    """Read the machine's repositories of the Debian archive, in both formats of apt.

    Args:
        apt_folder: The folder with sources.list and sources.list.d.
        suite: The machine's release; read from the machine when None.

    Returns:
        The repositories, the main one first.

    Raises:
        LabError: None is configured.
    """
    suite = suite or machine_suite()
    parts = apt_folder / "sources.list.d"
    sources: list[Source] = []
    for path in sorted(parts.glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text("utf-8")):
            sources += _parse_stanza(stanza)
    for path in [apt_folder / "sources.list", *sorted(parts.glob("*.list"))]:
        if path.is_file():
            for line in path.read_text("utf-8").splitlines():
                sources += _parse_line(line)
    suites = [suite, *(f"{suite}{pocket}" for pocket in POCKETS)]
    debian = [source for source in sources if source.suite in suites]
    debian.sort(key=lambda source: suites.index(source.suite))
    if not debian or debian[0].suite != suite:
        raise LabError(f"apt on this machine has no source for {suite}; see {apt_folder}")
    return list(dict.fromkeys(debian))


def _parse_stanza(stanza: str) -> list[Source]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0] in " \t":
            fields[name] += f"\n{line}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
        return []
    return [
        Source(
            uri.rstrip("/"),
            suite,
            tuple(fields.get("components", "").split()),
            fields.get("signed-by"),
            fields.get("trusted") == "yes",
        )
        for uri in fields.get("uris", "").split()
        for suite in fields.get("suites", "").split()
    ]


def _parse_line(line: str) -> list[Source]:
    found = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)", line)
    if found is None:
        return []
    options = dict(word.split("=", 1) for word in (found[1] or "").split() if "=" in word)
    return [
        Source(
            found[2].rstrip("/"),
            found[3],
            tuple(found[4].split()),
            options.get("signed-by"),
            options.get("trusted") == "yes",
        )
    ]


def sources_text(suite: str) -> str:
    """Return the .sources file of a server.

    Args:
        suite: The server's release.
    """
    machine = machine_suite()
    return "\n".join(
        source.for_suite(machine, suite).as_deb822() for source in read_sources(suite=machine)
    )


def settings_files(folder: Path = Path("/etc/apt/apt.conf.d")) -> list[Path]:
    """List this machine's local apt settings, such as a proxy or timeouts.

    Leaves out settings from packages, those that run programs, which the server may not have, and
    those of Debian's container images, which empty the cache.

    Args:
        folder: The folder of apt's settings.
    """
    candidates = [
        path
        for path in sorted(folder.glob("*"))
        if path.is_file()
        and not path.name.startswith("docker-")
        and not _RUNS_PROGRAMS.search(path.read_text("utf-8", errors="replace"))
    ]
    return [path for path in candidates if not _belongs_to_a_package(path)]


@cache
def _belongs_to_a_package(path: Path) -> bool:
    """Return whether dpkg installed a file; it searches the lists of all packages, so ask once."""
    return run_program(["dpkg-query", "--search", path], check=False).returncode == 0


def write_configuration(root: Path, suite: str) -> None:
    """Write the machine's apt configuration into a server's filesystem.

    Args:
        root: The server's root folder.
        suite: The server's release.
    """
    target = root / "etc/apt"
    (target / "sources.list").unlink(missing_ok=True)
    (target / "sources.list.d/debian.sources").write_text(sources_text(suite), encoding="utf-8")
    for path in settings_files():
        shutil.copy2(path, target / "apt.conf.d" / path.name)
    (target / "apt.conf.d/90lab").write_text(SERVER_SETTINGS, encoding="utf-8")
    for folder in ("keyrings", "trusted.gpg.d", "auth.conf.d"):
        shutil.copytree(Path("/etc/apt") / folder, target / folder, dirs_exist_ok=True)
    for source in read_sources():
        if source.signed_by and source.signed_by.startswith("/"):
            keyring = root / source.signed_by.lstrip("/")
            keyring.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source.signed_by, keyring)


def proxy_environment() -> dict[str, str]:
    """Return apt's proxy as environment variables, for programs that do not read its settings."""
    dumped = run_program(["apt-config", "dump", "Acquire::http::Proxy"]).stdout
    found = re.search(r'Acquire::http::Proxy "([^"]+)"', dumped)
    return {"http_proxy": found[1]} if found and found[1] != "DIRECT" else {}


def mirror_hosts_lines(hosts_file: Path = Path("/etc/hosts")) -> list[str]:
    """List the lines of /etc/hosts for the mirrors.

    Args:
        hosts_file: The machine's file.

    Returns:
        Lines for the servers' /etc/hosts; empty when the mirrors are in DNS.
    """
    hosts = {urlsplit(source.uri).hostname for source in read_sources()}
    lines = []
    for line in hosts_file.read_text("utf-8").splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1 and hosts.intersection(words[1:]):
            lines.append(" ".join(words))
    return lines
