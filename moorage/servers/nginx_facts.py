"""Facts about a server's nginx, which can serve other sites, too.

Of other sites' configuration, only listen addresses, names and file paths are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class NginxListen:
    """One ``listen`` directive.

    Attributes:
        address: ``*``, ``[::]``, ``192.0.2.1`` or ``[2001:db8::1]``.
        first: The first port; almost always the only one.
        last: The last port.
        options: The words after the address, such as ``ssl`` and ``default_server``.
    """

    address: str
    first: int
    last: int
    options: frozenset[str] = frozenset()

    def covers(self, port: int) -> bool:
        """Whether it includes a port."""
        return self.first <= port <= self.last


@dataclass(frozen=True)
class NginxServer:
    """One ``server`` block that is not Moorage's.

    Attributes:
        file: The file it starts in.
        kind: The enclosing block; stream and mail share the ports with http.
        listens: Its listen addresses.
        names: Its server_names.
        comes_first: Whether nginx reads it before Moorage's own site.
    """

    file: str
    kind: Literal["http", "stream", "mail"] = "http"
    listens: tuple[NginxListen, ...] = ()
    names: tuple[str, ...] = ()
    comes_first: bool = False


@dataclass(frozen=True)
class NginxFacts:
    """The facts from ``nginx -T`` and ``nginx -V``.

    Attributes:
        version: The version, such as 1.22.1.
        user: The workers' user.
        group: Their group.
        maintainer: The package's maintainer; empty if it is not from a package.
        servers: Every server block that is not Moorage's, in the order nginx reads them.
        http: The names of the directives at http level, and the file each is in.
        late: Those of them that nginx reads after Moorage's site, likewise.
        cuts_transfers: The file whose worker_shutdown_timeout ends transfers after a reload.
        loads_njs: Whether nginx.conf loads the njs module.
        includes_site: Whether nginx.conf includes Moorage's site.
        fault: Why nginx rejects its configuration; empty if it is valid.
    """

    version: str = ""
    user: str = ""
    group: str = ""
    maintainer: str = ""
    servers: tuple[NginxServer, ...] = ()
    http: Mapping[str, str] = field(default_factory=dict)
    late: Mapping[str, str] = field(default_factory=dict)
    cuts_transfers: str = ""
    loads_njs: bool = False
    includes_site: bool = True
    fault: str = ""

    @property
    def is_from_distribution(self) -> bool:
        """Whether the distribution's module packages match it."""
        return any(name in self.maintainer for name in ("Debian", "Ubuntu", "Raspbian"))
