"""The addresses nginx listens on for the registry, next to other sites of the same nginx."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from moorage.desired import layout
from moorage.desired.state import Listen
from moorage.servers.facts import Facts
from moorage.servers.nginx_config import listens_in
from moorage.servers.nginx_facts import NginxListen, NginxServer

_SAFE = re.compile(r"[A-Za-z0-9.-]+|\[[0-9a-f:.]+\]")
_SITES = (layout.NGINX_SITE, layout.NGINX_HTTP)
EVERYWHERE = ("*", "[::]")


def others_on(facts: Facts, port: int) -> Iterator[tuple[NginxServer, NginxListen]]:
    """Yield every listen directive of other sites on a port, in the order nginx reads them.

    Args:
        facts: The server's facts.
        port: The port.
    """
    for server in facts.nginx.servers if facts.nginx is not None else ():
        for listen in server.listens:
            if listen.covers(port):
                yield server, listen


def addresses_on(facts: Facts, port: int) -> tuple[str, ...]:
    """Return the addresses to listen on, in nginx's notation: wildcards, and those of other sites.

    nginx prefers sites that listen on the exact address a client connected to over those that
    listen on the wildcard.

    Args:
        facts: The server's facts.
        port: The port.
    """
    others = [
        listen
        for server, listen in others_on(facts, port)
        if server.kind == "http" and _SAFE.fullmatch(listen.address)
    ]
    named = {each.address for each in others} - set(EVERYWHERE)
    everywhere = [*EVERYWHERE] if facts.ipv6 else ["*"]
    if any(each.address == "[::]" and "ipv6only=off" in each.options for each in others):
        everywhere = ["[::]"]
    bound = bound_by_nginx(facts, port)
    for wildcard, is_six in (("*", False), ("[::]", True)):
        here = {each for each in bound if each.startswith("[") == is_six} - {wildcard}
        is_kept = wildcard in bound or not here or all(map(is_loopback, here))
        if wildcard in everywhere and not is_kept:
            # A reload cannot bind the wildcard while nginx is bound to a single address.
            everywhere.remove(wildcard)
            named |= here
    return (*everywhere, *sorted(named))


def serves_on(facts: Facts, port: int) -> bool:
    """Whether the registry's own site is deployed on a port, and nginx listens there.

    Args:
        facts: The server's facts.
        port: The port.
    """
    listener = facts.listens(port)
    is_deployed = any(each.port == port for each in listens_as_deployed(facts))
    return is_deployed and listener is not None and listener.program == "nginx"


def listens_as_deployed(facts: Facts) -> tuple[Listen, ...]:
    """Return the listen directives of the registry's own sites, the one for clients first.

    Args:
        facts: The server's facts.
    """
    sites = [facts.files[path] for path in _SITES if path in facts.files]
    return tuple(
        Listen(each.address, each.first, "ssl" in each.options, "proxy_protocol" in each.options)
        for site in sites
        for each in listens_in(site.content.decode("utf-8", "replace"))
        if _SAFE.fullmatch(each.address) or each.address == "*"
    )


def bound_by_nginx(facts: Facts, port: int) -> set[str]:
    """Return the addresses nginx is bound to on a port now.

    Args:
        facts: The server's facts.
        port: The port.
    """
    found: set[str] = set()
    for listener in facts.listeners:
        if listener.port != port or listener.program != "nginx":
            continue
        if listener.address == "*":  # both families in one socket
            found |= {"*", "[::]"}
        elif ":" in listener.address:
            found.add(f"[{listener.address}]")
        else:
            found.add("*" if listener.address == "0.0.0.0" else listener.address)  # noqa: S104 # it is compared
    return found


def is_loopback(address: str) -> bool:
    """Whether only the server itself reaches an address."""
    return address.startswith("127.") or address == "[::1]"


def needs_restart(facts: Facts, listens: Sequence[Listen]) -> bool:
    """Whether nginx needs a restart to listen there: it switches between wildcard and addresses.

    Args:
        facts: The server's facts.
        listens: Where the registry will listen.
    """
    for port in {each.port for each in listens}:
        bound = bound_by_nginx(facts, port)
        others = {listen.address for _, listen in others_on(facts, port)}
        needed = {each.address for each in listens if each.port == port} | others
        for wildcard, is_six in (("*", False), ("[::]", True)):
            now = {each for each in bound if each.startswith("[") == is_six}
            then = {each for each in needed if each.startswith("[") == is_six}
            if now and then and (wildcard in now) != (wildcard in then):
                return True
    return False
