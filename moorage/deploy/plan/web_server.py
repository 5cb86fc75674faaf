"""Problems that prevent a server's nginx from starting or reloading.

Plans, changes of the users and status share these checks and their messages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from moorage.deploy.plan.problem import problem_on
from moorage.desired import layout
from moorage.desired.state import Listen
from moorage.errors import MoorageError
from moorage.servers.facts import Facts, Listener

NGINX_FILES = (f"{layout.NGINX_ETC}/", layout.NGINX_SITE, layout.NGINX_HTTP)
"""The nginx files and folders (with a trailing slash) that an apply writes."""
BY_HAND = (
    "nginx was started by hand, not by systemd: nothing restarts it after a crash or a reboot. "
    "Hand it over: nginx -s quit; sleep 5; systemctl start nginx."
)


def nginx_problems(
    facts: Facts,
    listens: Sequence[Listen],
    writes: Collection[str] = (),
    *,
    is_asked_on_80: bool = False,
) -> Iterator[MoorageError]:
    """Yield the problems that prevent nginx from starting or reloading.

    Args:
        facts: The server's facts.
        listens: Where the registry listens.
        writes: The files, or folders of files, that are rewritten anyway: errors in them do not
            count.
        is_asked_on_80: Whether the ACME authority connects to port 80.
    """
    yield from masked_units(facts, {"nginx": "nginx.service"})
    yield from _taken_ports(facts, listens, is_asked_on_80)
    fault = facts.nginx.fault if facts.nginx is not None else ""
    if fault and not any(path in fault for path in writes):
        is_ours = any(path in fault for path in NGINX_FILES)
        yield problem_on(
            facts,
            "nginx_broken",
            f"nginx rejects its current configuration: {fault}.",
            "Apply the answers, which rewrites that file: moorage apply FILE."
            if is_ours
            else "Fix that first, and check it on the server with nginx -t.",
        )
    elif not fault and not facts.runs_nginx:
        yield from _taken_from_others(facts)


def missing_nginx(facts: Facts) -> Iterator[MoorageError]:
    """Yield the problem that nginx was removed from a deployed server; an apply reinstalls it.

    Args:
        facts: The server's facts.
    """
    if facts.tools and "nginx" not in facts.tools:
        yield problem_on(
            facts,
            "nginx_missing",
            "nginx is no longer installed.",
            "Apply the answers, which installs it: moorage apply FILE.",
        )


def masked_units(facts: Facts, units: Mapping[str, str]) -> Iterator[MoorageError]:
    """Yield a problem for each masked unit.

    Args:
        facts: The server's facts.
        units: The required units, by their name in the facts.
    """
    for name, unit in units.items():
        service = facts.services.get(name)
        if service is not None and service.enabled.startswith("masked"):
            yield problem_on(
                facts,
                "unit_masked",
                f"{unit} is masked, so it cannot be started.",
                f"Unless that is intended: systemctl unmask {unit}.",
            )


def _taken_ports(
    facts: Facts, listens: Sequence[Listen], is_asked_on_80: bool
) -> Iterator[MoorageError]:
    taken = {
        (listener.port, listener.program or "another program"): None
        for ours in listens
        for listener in facts.listeners
        if listener.port == ours.port
        and listener.program != "nginx"
        and overlap(ours.address, listener)
    }
    is_down = "nginx" in facts.packages and not facts.runs_nginx
    for port, program in taken:
        yield problem_on(
            facts,
            "port_taken",
            f"port {port} is taken by {program}{', so nginx cannot start' if is_down else ''}.",
            *_way_out(port, program, is_asked_on_80),
        )


def _way_out(port: int, program: str, is_asked_on_80: bool) -> tuple[str, tuple[str, ...]]:
    """Return the advice and the fields it is about."""
    if port != 80:
        return f"Stop {program}, or choose another port.", ("registry.port",)
    if is_asked_on_80:
        return (
            f"Stop {program}: the authority connects to port 80. Or leave port 80 alone by using "
            "the DNS challenge and turning off the redirect.",
            ("ssl.acme.challenge", "registry.redirect_http"),
        )
    return (
        f"Stop {program} or move it to another port. Or leave port 80 alone by turning off the "
        "redirect.",
        ("registry.redirect_http",),
    )


def _taken_from_others(facts: Facts) -> Iterator[MoorageError]:
    """Yield other sites' ports that other programs use: nginx binds all ports or does not start."""
    seen: set[tuple[str, int]] = set()
    for server in facts.nginx.servers if facts.nginx is not None else ():
        for listen in server.listens:
            for listener in facts.listeners:
                is_taken = listen.covers(listener.port) and listener.program != "nginx"
                if not is_taken or not overlap(listen.address, listener):
                    continue
                if (server.file, listener.port) in seen:
                    continue
                seen.add((server.file, listener.port))
                yield problem_on(
                    facts,
                    "nginx_cannot_start",
                    f"nginx cannot start: {server.file} listens on port {listener.port}, which "
                    f"{listener.program or 'another program'} uses.",
                    f"Remove {server.file} if it is not needed, or change its port.",
                )


def overlap(address: str, listener: Listener) -> bool:
    """Whether an address conflicts with a listening program.

    Args:
        address: An address in nginx's notation.
        listener: Where the program listens, on the same port.
    """
    if listener.address == "*":
        return True
    if (":" in address) != (":" in listener.address):
        return False
    everywhere = {"0.0.0.0", "::", "*", "[::]"}  # noqa: S104 # they are compared
    return (
        address in everywhere
        or listener.address in everywhere
        or address.strip("[]") == listener.address
    )
