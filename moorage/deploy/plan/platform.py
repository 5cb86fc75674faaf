"""The platform of a server, derived from its facts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from moorage.deploy.plan.listen_addresses import addresses_on, listens_as_deployed
from moorage.desired import layout
from moorage.desired.inherited import undone_in
from moorage.desired.state import Platform
from moorage.servers.facts import Facts
from moorage.users.passwords import Scheme

NJS = "libnginx-mod-http-js"
"""The package with njs, which nginx's cache of logins needs."""

# For servers whose package lists were never fetched, so that apt does not know.
_WITHOUT_NJS = {("debian", "11"), ("ubuntu", "20.04"), ("ubuntu", "22.04")}


def platform_of(
    facts: Facts, addresses: Mapping[str, tuple[str, ...]], ports: Sequence[int] = ()
) -> Platform:
    """Return what desired state depends on about a server.

    Args:
        facts: The server's facts.
        addresses: Where the servers reach each other, by label, if they need to.
        ports: The public ports nginx will listen on.
    """
    peers = [found for server, found in addresses.items() if server != facts.server]
    return Platform(
        facts.os.get("ID", ""),
        facts.os.get("VERSION_ID", ""),
        facts.ipv6,
        can_remember_logins(facts),
        tuple(peers),
        memory=facts.memory or Platform.memory,
        addresses=_addresses(facts, ports),
        web_group=web_group_of(facts),
        http_directives=_http_directives(facts),
    )


def _addresses(facts: Facts, ports: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return where to listen on each port; as now while nginx's configuration is unreadable."""
    found = {port: addresses_on(facts, port) for port in ports}
    if facts.nginx is None or facts.nginx.fault:
        now = listens_as_deployed(facts)
        kept = {port: tuple(each.address for each in now if each.port == port) for port in ports}
        found |= {port: addresses for port, addresses in kept.items() if addresses}
    return found


def _http_directives(facts: Facts) -> frozenset[str]:
    """Return the directives set for all sites; the last known ones while that is unreadable."""
    if facts.nginx is not None and not facts.nginx.fault:
        return frozenset(facts.nginx.http)
    there = facts.files.get(layout.INHERITED)
    return undone_in(there.content.decode("utf-8", "replace")) if there else frozenset()


def web_group_of(facts: Facts) -> str:
    """Return the group of nginx's workers, which read the password hashes."""
    group = facts.nginx.group if facts.nginx is not None else ""
    if re.fullmatch(r"[a-z_][a-z0-9_-]*", group):
        return group
    there = facts.files.get(layout.HTPASSWD)
    is_known = there is not None and there.group not in {"", "root"}
    return there.group if there is not None and is_known else layout.WEB_GROUP


def can_remember_logins(facts: Facts) -> bool:
    """Return whether nginx has, or can get, njs, which the cache of logins needs."""
    nginx = facts.nginx
    if nginx is not None and nginx.loads_njs:
        return True
    if nginx is not None and nginx.maintainer and not nginx.is_from_distribution:
        # The distribution's modules only fit the distribution's nginx.
        return False
    if NJS in facts.packages:
        # A readable configuration would load it, unless the line was removed.
        return nginx is None or bool(nginx.fault)
    if facts.offers_njs is not None:
        return facts.offers_njs
    return (facts.os.get("ID", ""), facts.os.get("VERSION_ID", "")) not in _WITHOUT_NJS


def scheme_for(servers: Sequence[Facts]) -> Scheme:
    """Return the scheme of new password hashes, the same for all servers.

    SHA-512 crypt if one of them checks the password on every request: nginx does 728 such checks a
    second, but only 7.5 of bcrypt with cost 12.
    """
    return "bcrypt" if all(can_remember_logins(each) for each in servers) else "sha512"
