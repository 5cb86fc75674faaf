"""What on a server keeps a run from starting, and what the operator should know before."""

from __future__ import annotations

from collections.abc import Iterator

from moorage.desired import layout
from moorage.desired.state import DesiredState
from moorage.errors import MoorageError
from moorage.servers.facts import Facts

_SUPPORTED = {("debian", "12"), ("debian", "13")}
_NEEDED_TOOLS = ("apt-get", "dpkg-query", "systemctl", "systemd-run", "flock", "ss")
_LEAST_FREE = 512 * 1024**2
_ENOUGH_FREE = 5 * 1024**3


def find_problems(wanted: DesiredState, facts: Facts) -> Iterator[MoorageError]:
    """Yield what keeps a run from starting on a server.

    Args:
        wanted: What the answers mean for the server.
        facts: What the probe read.
    """
    missing = [tool for tool in _NEEDED_TOOLS if tool not in facts.tools]
    if missing or not facts.systemd:
        lacks = ", ".join([*missing, *(() if facts.systemd else ("a running systemd",))])
        yield _problem(
            facts,
            "unsupported_system",
            f"{facts.os_name} has no {lacks}.",
            "Moorage installs on Debian and its derivatives with systemd.",
        )
        return
    yield from run_going_on(facts)
    for port in wanted.ports:
        listener = facts.listens(port)
        if listener is not None and listener.program != "nginx":
            program = listener.program or "another program"
            ours = " (nginx is not running)" if "nginx" in facts.packages else ""
            yield _problem(
                facts,
                "port_taken",
                f"port {port} is taken by {program}{ours}.",
                f"Stop {program}, or choose another port in "
                + (
                    "registry.port."
                    if port != 80
                    else "its configuration; registry.redirect_http: false leaves port 80 alone."
                ),
            )
    for slot, port in layout.PORTS.items():
        for number in (port, layout.DEBUG_PORTS[slot]):
            listener = facts.listens(number)
            is_ours = facts.is_active(layout.unit_name(slot))
            if listener is not None and not is_ours:
                program = listener.program or "another program"
                yield _problem(
                    facts,
                    "port_taken",
                    f"port {number} is taken by {program}; the registry's slot {slot} needs it.",
                    f"Stop {program} or move it to another port.",
                )
    for disk in facts.disks:
        if disk.free < _LEAST_FREE:
            yield _problem(
                facts,
                "disk_full",
                f"only {disk.free // 1024**2} MiB are free on {disk.mount}; "
                f"{_LEAST_FREE // 1024**2} MiB are needed.",
                "Free some space or choose another folder in storage.filesystem.path.",
            )


def run_going_on(facts: Facts) -> Iterator[MoorageError]:
    """Yield the problem that a run is going on, if one is.

    Args:
        facts: What the probe read.
    """
    if facts.active_run is not None:
        yield _problem(
            facts,
            "run_going_on",
            f"run {facts.active_run.run_id} is going on (step {facts.active_run.step}).",
            "Wait until it has ended, or follow it with: moorage status FILE --follow.",
        )


def find_notes(wanted: DesiredState, facts: Facts) -> Iterator[str]:
    """Yield what the operator should know before a run.

    Args:
        wanted: What the answers mean for the server.
        facts: What the probe read.
    """
    system = (facts.os.get("ID", ""), facts.os.get("VERSION_ID", ""))
    if system not in _SUPPORTED:
        yield f"{facts.os_name} is untested; Debian 12 and 13 are tested."
    if abs(facts.clock_skew) > 60:
        direction = "ahead of" if facts.clock_skew > 0 else "behind"
        yield (
            f"The clock is {abs(facts.clock_skew):.0f} s {direction} this machine's; "
            "S3 signatures and certificates fail when it is far off."
        )
    if wanted.storage_folder is not None:
        free = max((disk.free for disk in facts.disks[:1]), default=0)
        if _LEAST_FREE <= free < _ENOUGH_FREE:
            yield f"Only {free / 1024**3:.1f} GiB are free for images in {wanted.storage_folder}."
    if not wanted.remembers_logins:
        yield (
            "nginx has no njs here (libnginx-mod-http-js), so every request's password is checked: "
            "new passwords are hashed with SHA-512 crypt, because bcrypt would slow every request."
        )
    if not wanted.tls:
        yield "Without TLS, docker login works only through a load balancer that adds it."


def _problem(facts: Facts, code: str, message: str, hint: str) -> MoorageError:
    return MoorageError(message, hint=hint, server=facts.server, code=code)
