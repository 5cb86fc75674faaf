"""Conflicts between the registry and other sites of the server's nginx, found before a run."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence

from moorage.deploy.plan.listen_addresses import others_on
from moorage.deploy.plan.problem import problem_on
from moorage.desired import layout
from moorage.desired.build import is_hashed_name
from moorage.desired.inherited import HEEDED
from moorage.desired.state import DesiredState, Listen
from moorage.errors import MoorageError, Note
from moorage.servers.facts import Facts
from moorage.servers.nginx_facts import NginxListen, NginxServer

DEFAULT_SITE = "/etc/nginx/sites-enabled/default"
"""The default site of Debian's package, on port 80."""
_BEFORE_MAPS = {"map_hash_bucket_size", "map_hash_max_size"}
"""Directives that nginx accepts only before the first map."""


def find_neighbour_problems(wanted: DesiredState, facts: Facts) -> Iterator[MoorageError]:
    """Yield the problems of the server's nginx that prevent a run.

    Args:
        wanted: The server's desired state.
        facts: The server's facts.
    """
    nginx = facts.nginx
    if nginx is None or nginx.fault:
        return
    if not nginx.includes_site:
        yield problem_on(
            facts,
            "nginx_ignores_site",
            f"nginx.conf does not include {layout.NGINX_SITE}.",
            "Add to its http block: include /etc/nginx/conf.d/*.conf;",
        )
    for name in sorted(_BEFORE_MAPS & nginx.late.keys()):
        yield problem_on(
            facts,
            "nginx_order",
            f"{nginx.late[name]} sets {name}, but nginx reads it after {layout.NGINX_SITE}, whose "
            "maps exist by then: nginx would reject the line as a duplicate and not start.",
            "Move the line into nginx.conf, above its includes, or rename the file so that it "
            "sorts before moorage.conf.",
        )
    for ours in wanted.listens:
        for server, theirs in others_on(facts, ours.port):
            yield from _clash(ours, server, theirs, facts)
    yield from taken_names(facts, wanted.listens, wanted.domain)


def taken_names(facts: Facts, listens: Sequence[Listen], domain: str) -> Iterator[MoorageError]:
    """Yield other sites that would get the registry's requests, because nginx reads them first.

    Args:
        facts: The server's facts.
        listens: Where the registry listens, or will listen.
        domain: Its name.
    """
    for server, port in _same_name(listens, domain, facts):
        if server.comes_first:
            yield problem_on(
                facts,
                "name_taken",
                f"{server.file} serves {domain} on port {port}, and nginx reads it before "
                f"{layout.NGINX_SITE}: clients would send that site their passwords.",
                f"Remove that server_name, or rename the file so that it sorts after "
                f"{layout.NGINX_SITE.rpartition('/')[2]}.",
            )


def drops_default_site(wanted: DesiredState, facts: Facts) -> bool:
    """Whether a newly installed nginx could not start because of its default site on port 80.

    Args:
        wanted: The server's desired state.
        facts: The server's facts.
    """
    is_new = not any(name == "nginx" or name.startswith("nginx-") for name in facts.packages)
    is_taken = any(each.port == 80 and each.program != "nginx" for each in facts.listeners)
    return is_new and is_taken and 80 not in wanted.ports


def _clash(
    ours: Listen, server: NginxServer, theirs: NginxListen, facts: Facts
) -> Iterator[MoorageError]:
    place = f"port {ours.port}" if ours.address == "*" else f"{ours.address}:{ours.port}"
    if server.kind != "http":
        if theirs.address in {ours.address, "*"} or ours.address == "*":
            yield problem_on(
                facts,
                "port_taken",
                f"port {ours.port} is taken by nginx itself: {server.file} has a {server.kind} "
                "server there.",
                "Choose another port, or change that server's.",
                ("registry.port",),
            )
        return
    if theirs.address != ours.address:
        return
    for option, has_ours in (("ssl", ours.tls), ("proxy_protocol", ours.has_proxy_protocol)):
        if (option in theirs.options) != has_ours:
            how = "with" if option in theirs.options else "without"
            answer = "registry.proxy_protocol" if option == "proxy_protocol" else "ssl.mode"
            yield problem_on(
                facts,
                "listens_differ",
                f"{server.file} listens on {place} {how} {option}, and nginx applies that to all "
                "sites of a port or to none.",
                "Choose another port, make the registry listen the same way, or change that site.",
                ("registry.port", answer),
            )


def _same_name(
    listens: Sequence[Listen], domain: str, facts: Facts
) -> Iterator[tuple[NginxServer, int]]:
    """Yield each other site that serves the registry's name on the same address, once."""
    seen: set[tuple[str, int]] = set()
    for ours in listens:
        for server, theirs in others_on(facts, ours.port):
            if server.kind != "http" or theirs.address != ours.address:
                continue
            if _serves(server, domain) and (server.file, ours.port) not in seen:
                seen.add((server.file, ours.port))
                yield server, ours.port


def _serves(server: NginxServer, domain: str) -> bool:
    if domain in server.names or f".{domain}" in server.names:
        return True
    # A long name is a regular expression to nginx, and all other kinds of names take precedence.
    return not is_hashed_name(domain) and any(
        fnmatch.fnmatchcase(domain, f"*{name}" if name.startswith(".") else name)
        for name in server.names
        if not name.startswith("~") and "[" not in name and "?" not in name
    )


def find_neighbour_notes(wanted: DesiredState, facts: Facts) -> Iterator[Note]:
    """Yield notes for the operator about the other sites of the server's nginx.

    Args:
        wanted: The server's desired state.
        facts: The server's facts.
    """
    nginx = facts.nginx
    if nginx is None:
        return
    for server, port in _same_name(wanted.listens, wanted.domain, facts):
        if not server.comes_first:
            yield Note(
                "site_hidden",
                f"{server.file} also serves {wanted.domain} on port {port}. nginx will use "
                "Moorage's site and ignore that one: clients can no longer reach it, and need a "
                "user of this deployment.",
            )
    if layout.NGINX_SITE not in facts.files:
        yield from _lost_defaults(wanted, facts)
    files = {
        server.file
        for ours in wanted.listens
        for server, theirs in others_on(facts, ours.port)
        if theirs.address == ours.address and "http2" in theirs.options and ours.tls
    }
    if files:
        yield Note(
            "http2_on",
            f"{', '.join(sorted(files))} turns HTTP/2 on for the port, and so for the registry: "
            "pushes over slow links are slower than with HTTP/1.1.",
        )
    if nginx.cuts_transfers:
        yield Note(
            "transfers_cut",
            f"{nginx.cuts_transfers} sets worker_shutdown_timeout: when nginx is reloaded, pulls "
            "and pushes that take longer are cut off. Remove the line, or set it to more than the "
            "slowest transfer takes.",
        )
    for name in sorted(HEEDED & set(nginx.http)):
        yield Note(
            "inherited_setting",
            f"{nginx.http[name]} sets {name} for all sites; it applies to the registry as well.",
        )
    for port in wanted.ports:
        addresses = [each.address for each in wanted.listens if each.port == port]
        named = [each for each in addresses if each not in {"*", "[::]"} and ":" not in each]
        others = sorted({server.file for server, _ in others_on(facts, port)})
        if named and others and "*" not in addresses:
            yield Note(
                "listens_on_some",
                f"nginx listens only on {', '.join(named)} on port {port} ({', '.join(others)}), "
                "and the registry does the same, unless you set other addresses.",
                ("registry.listen",),
            )


def _lost_defaults(wanted: DesiredState, facts: Facts) -> Iterator[Note]:
    """Yield which sites answer for names that nobody lists, and no longer will.

    Without default_server, the default is the first site nginx reads, which will be Moorage's.
    """
    seen: set[tuple[str, int]] = set()
    for ours in wanted.listens:
        here = [
            (server, theirs)
            for server, theirs in others_on(facts, ours.port)
            if server.kind == "http" and theirs.address == ours.address
        ]
        if not here or any({"default_server", "default"} & each.options for _, each in here):
            continue
        first = here[0][0]
        if not first.comes_first and (first.file, ours.port) not in seen:
            seen.add((first.file, ours.port))
            yield Note(
                "default_site_replaced",
                f"{first.file} is the default site for unknown names on port {ours.port}, because "
                "nginx reads it first. The registry's site will come before it: add "
                "default_server to that file's listen directive to keep it the default.",
            )
