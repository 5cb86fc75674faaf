"""Checks before a run: problems that prevent it, and notes for the operator."""

from __future__ import annotations

from collections.abc import Iterator

from moorage.answers.ssl import LETS_ENCRYPT
from moorage.deploy.events import step_title
from moorage.deploy.plan.managed_files import USER_FOLDERS, misplaced_files
from moorage.deploy.plan.other_sites import find_neighbour_notes, find_neighbour_problems
from moorage.deploy.plan.problem import problem_on
from moorage.deploy.plan.programs import PACKAGE, program_of, why_repair
from moorage.deploy.plan.web_server import BY_HAND, NGINX_FILES, masked_units, nginx_problems
from moorage.deploy.record.deployment_json import active_slot, line_of
from moorage.desired import layout
from moorage.desired.image_names import name_in_archive
from moorage.desired.state import DesiredState, Package
from moorage.errors import MoorageError, Note
from moorage.registry_keys import VERSIONS, version_of
from moorage.registry_keys.words import list_words
from moorage.servers.facts import Facts
from moorage.servers.run_results import REASONS, describe_reason

_SUPPORTED = {("debian", "12"), ("debian", "13")}
_TOO_OLD = {("debian", "11"): "2.7.1", ("ubuntu", "20.04"): "2.7.1"}
"""The versions of docker-registry's package that are not supported, by system."""
_NEEDED_TOOLS = ("apt-get", "dpkg-query", "systemctl", "systemd-run", "flock", "ss")
_MOST_SKEW = 3600
_SAME_A_WEEK = 5
"""https://letsencrypt.org/docs/rate-limits/"""
_LEAST_FREE = 512 * 1024**2
_ENOUGH_FREE = 5 * 1024**3
_LEAST_INODES = 5000


def unsupported_system(facts: Facts) -> MoorageError | None:
    """Return why Moorage cannot install on a server's system, or None."""
    missing = [tool for tool in _NEEDED_TOOLS if tool not in facts.tools]
    if not missing and facts.systemd:
        return None
    lacks = ", ".join([*missing, *(() if facts.systemd else ("a running systemd",))])
    return problem_on(
        facts,
        "unsupported_system",
        f"{facts.os_name} has no {lacks}.",
        "Moorage installs on Debian and its derivatives with systemd.",
    )


def find_problems(wanted: DesiredState, facts: Facts) -> Iterator[MoorageError]:
    """Yield the problems that prevent a run on a server.

    Args:
        wanted: The server's desired state.
        facts: The server's facts.
    """
    if unsupported := unsupported_system(facts):
        yield unsupported
        return
    yield from run_going_on(facts)
    slot = active_slot(facts)
    copies = wanted.image is None and (program_of(facts, slot) is None or bool(why_repair(facts)))
    installs = bool(missing_packages(wanted, facts))
    yield from read_only_folders(facts, installs=installs, copies=copies)
    folders = (*USER_FOLDERS, *(folder.path for folder in wanted.folders))
    yield from misplaced_files(facts, [file.path for file in wanted.files], dict.fromkeys(folders))
    yield from _package_problems(wanted, facts)
    asks = wanted.order is not None and wanted.order.challenge == "http-01"
    yield from nginx_problems(facts, wanted.listens, NGINX_FILES, is_asked_on_80=asks)
    yield from masked_units(facts, _units_besides_nginx(wanted))
    yield from find_neighbour_problems(wanted, facts)
    if wanted.order is not None and abs(facts.clock_skew) > _MOST_SKEW:
        yield problem_on(
            facts,
            "clock_off",
            f"the clock is {abs(facts.clock_skew) / 60:.0f} minutes "
            f"{'ahead' if facts.clock_skew > 0 else 'behind'}, and ACME needs the right time.",
            "Set it, for example with: timedatectl set-ntp true.",
        )
    for slot, port in layout.DEBUG_PORTS.items() if wanted.has_debug_listener else ():
        listener = facts.listens(port)
        if listener is not None and not facts.is_active(layout.unit_name(slot)):
            program = listener.program or "another program"
            yield problem_on(
                facts,
                "port_taken",
                f"port {port} is taken by {program}; the debug server of slot {slot} needs it.",
                f"Stop {program}, move it to another port, or remove http.debug.",
                ("registry.settings",),
            )
    for disk in facts.disks:
        if disk.free < _LEAST_FREE:
            yield problem_on(
                facts,
                "disk_full",
                f"only {disk.free // 1024**2} MiB are free on {disk.mount}; "
                f"{_LEAST_FREE // 1024**2} MiB are needed.",
                "Free some space or choose another folder.",
                ("storage.filesystem.path",),
            )
        if disk.free_inodes is not None and disk.free_inodes < _LEAST_INODES:
            yield problem_on(
                facts,
                "inodes_full",
                f"{disk.mount} has room for only {disk.free_inodes} of {disk.inodes} files "
                f"(inodes); {_LEAST_INODES} are needed.",
                f"Remove files there; this lists where most are: du --inodes -x {disk.mount} | "
                "sort -n | tail",
            )


def _package_problems(wanted: DesiredState, facts: Facts) -> Iterator[MoorageError]:
    """Yield the problems that prevent apt from installing missing packages."""
    missing = missing_packages(wanted, facts)
    if not missing:
        return
    old = _TOO_OLD.get((facts.os.get("ID", ""), facts.os.get("VERSION_ID", "")))
    if old and PACKAGE in missing:
        yield problem_on(
            facts,
            "package_too_old",
            f"{facts.os_name} has docker-registry {old}, and 2.8 is the oldest that is supported.",
            "Run the registry in a container, or upgrade the server's system.",
            ("registry.runtime",),
        )
    for name, state in facts.half_installed.items():
        is_broken = "H" in state or "R" in state
        if name in missing and not is_broken:
            continue  # apt finishes the packages that it is asked to install
        repair = "dpkg --configure -a"
        if is_broken:
            repair = f"apt-get install --reinstall {name}"
        yield problem_on(
            facts,
            "half_installed",
            f"{name} is only half installed, and apt installs nothing else until that is fixed.",
            f"Fix it on the server: {repair}",
        )
    for name in missing:
        if name in facts.held:
            yield problem_on(
                facts,
                "on_hold",
                f"{name} has to be installed but is on hold.",
                f"Release it on the server: apt-mark unhold {name}",
            )


def find_version_problems(
    wanted: DesiredState, facts: Facts, version: str, *, takes: bool
) -> Iterator[MoorageError]:
    """Yield the problem that the registry's configuration is for another version.

    Args:
        wanted: The server's desired state.
        facts: The server's facts.
        version: The version of the program that will run; empty if it is not known.
        takes: Whether it is another one than now.
    """
    fits = version_of(version)
    if fits in {"", wanted.version}:
        return
    if fits not in VERSIONS:
        yield version_not_supported(version, facts.server)
        return
    advice = f"Set the registry's version to {fits}."
    if not takes:
        advice = f"An apply keeps the program: set the version to {fits}, or upgrade the registry."
    yield problem_on(
        facts,
        "version_differs",
        describe_reason("version_differs", [version, wanted.version]) + ".",
        advice,
        ("registry.version",),
    )


def find_archive_problems(wanted: DesiredState, facts: Facts) -> Iterator[MoorageError]:
    """Yield the problem that the archive to load does not have the image.

    Args:
        wanted: The server's desired state.
        facts: The server's facts.
    """
    image = wanted.image
    if image is None or image.archive_names is None or "@" in image.name:
        return
    if not name_in_archive(image.name, image.archive_names):
        code = "image_not_in_archive"
        holds = ", ".join(map(line_of, image.archive_names)) or "no image with a name"
        message = describe_reason(code, [holds, image.name]) + "."
        yield problem_on(facts, code, message, REASONS[code].advice, REASONS[code].fields)


def version_not_supported(version: str, server: str) -> MoorageError:
    """Return the error that a version of the registry is not supported.

    Args:
        version: The version, or that of its package.
        server: The server that would get it, by label.
    """
    return MoorageError(
        f"registry {version} is not supported.",
        advice=f"Supported: {list_words(VERSIONS, 'and')}, and later versions 3.",
        server=server,
        code="version_not_supported",
    )


def is_installed(package: Package, facts: Facts) -> bool:
    """Return whether a package, or one that replaces it, is installed."""
    return any(name in facts.packages for name in (package.name, *package.satisfied_by))


def missing_packages(wanted: DesiredState, facts: Facts) -> list[str]:
    """Return the names of the packages that have to be installed."""
    return [package.name for package in wanted.packages if not is_installed(package, facts)]


def read_only_folders(
    facts: Facts, *, installs: bool, copies: bool = False
) -> Iterator[MoorageError]:
    """Yield the problem that a run cannot write to a file system, if there is one.

    Args:
        facts: The server's facts.
        installs: Whether the run installs packages.
        copies: Whether the run copies the registry's program.
    """
    lib = () if "/var" in facts.read_only else ("/var/lib",)
    usr = ("/usr",) * installs
    local = ("/usr/local",) * (copies and not (installs and "/usr" in facts.read_only))
    needed = ("/etc", "/var", *lib, *usr, *local)
    if found := [folder for folder in needed if folder in facts.read_only]:
        yield problem_on(
            facts,
            "read_only",
            f"{' and '.join(found)} {'is' if len(found) == 1 else 'are'} read-only.",
            "Mount the file system read-write: mount -o remount,rw MOUNT_POINT. If the kernel made "
            "it read-only, dmesg says why.",
        )


def run_going_on(facts: Facts) -> Iterator[MoorageError]:
    """Yield the problem that another run is in progress, if there is one.

    Args:
        facts: The server's facts.
    """
    if facts.active_run is not None:
        step = step_title(facts.active_run.step).lower()
        waits = ": it waits for the other servers" * (facts.active_run.step == "staged")
        yield problem_on(
            facts,
            "run_going_on",
            f"run {facts.active_run.run_id} is in progress{f' ({step}{waits})' * bool(step)}.",
            "Wait until it ends, or follow it with: moorage status FILE --follow.",
        )


def _units_besides_nginx(wanted: DesiredState) -> dict[str, str]:
    units = {}
    if wanted.image is not None and wanted.image.engine == "docker":
        units["docker"] = "docker.service"
    if wanted.order is not None:
        units["certbot.timer"] = "certbot.timer"
    return units


def find_notes(wanted: DesiredState, facts: Facts) -> Iterator[Note]:
    """Yield notes for the operator: nothing in them prevents the run.

    Args:
        wanted: The server's desired state.
        facts: The server's facts.
    """
    system = (facts.os.get("ID", ""), facts.os.get("VERSION_ID", ""))
    if system not in _SUPPORTED:
        yield Note("untested_system", f"{facts.os_name} is untested; Debian 12 and 13 are tested.")
    if abs(facts.clock_skew) > 60:
        direction = "ahead of" if facts.clock_skew > 0 else "behind"
        yield Note(
            "clock_off",
            f"The clock is {abs(facts.clock_skew):.0f} s {direction} this machine's; "
            "S3 signatures and certificates fail when it is far off.",
        )
    if wanted.storage_folder is not None:
        free = max((disk.free for disk in facts.disks[:1]), default=0)
        if _LEAST_FREE <= free < _ENOUGH_FREE:
            yield Note(
                "little_space",
                f"Only {free / 1024**3:.1f} GiB are free for images in {wanted.storage_folder}.",
            )
    missing = missing_packages(wanted, facts)
    if missing and facts.apt_runs:
        yield Note(
            "apt_running",
            "apt is running on the server; the installation waits for it, up to 3 minutes.",
        )
    if missing and (held := [name for name in facts.held if name not in missing]):
        yield Note(
            "on_hold",
            f"On hold: {', '.join(held)}. If {', '.join(missing)} needs another version, the "
            "installation fails; apt-mark unhold releases a package.",
        )
    yield from find_neighbour_notes(wanted, facts)
    if facts.has_nginx_by_hand:
        yield Note("nginx_by_hand", BY_HAND)
    if not wanted.remembers_logins:
        yield Note(
            "no_njs",
            "nginx has no njs here (libnginx-mod-http-js), so it checks the password on every "
            "request: new passwords are hashed with SHA-512 crypt, because bcrypt would be slow.",
        )
    order = wanted.order
    is_limited = order is not None and order.directory == LETS_ENCRYPT
    wants_one = order is not None and layout.RENEWAL not in facts.files
    if order is not None and wants_one and is_limited and len(order.peers) >= _SAME_A_WEEK:
        yield Note(
            "certificate_limit",
            f"Let's Encrypt issues {_SAME_A_WEEK} certificates a week for one name, and "
            f"{len(order.peers) + 1} servers need one each: use --limit for {_SAME_A_WEEK} at "
            "a time, a week apart.",
        )
    if not wanted.tls:
        yield Note(
            "no_tls", "Without TLS, docker login works only through a load balancer that adds it."
        )
