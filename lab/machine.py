"""Prerequisites on this machine for running servers."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from lab.errors import LabError
from lab.process import run_program

NEEDED_PROGRAMS = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "ssh-keygen": "openssh-client",
    "mount": "mount",
}
"""Programs and the Debian packages that provide them."""

INOTIFY_INSTANCES = 4096
"""The number of inotify instances root is allowed."""


def say(message: str) -> None:
    """Print progress to stderr.

    Args:
        message: One line.
    """
    print(f"lab: {message}", file=sys.stderr, flush=True)


def reason_it_cannot_run() -> str | None:
    """Return why servers cannot run on this machine, in one sentence, or None if they can."""
    if os.geteuid() != 0:
        return "the lab needs root: it mounts filesystems and creates network interfaces"
    if "overlay" not in Path("/proc/filesystems").read_text(encoding="utf-8"):
        run_program(["modprobe", "overlay"], check=False)
        if "overlay" not in Path("/proc/filesystems").read_text(encoding="utf-8"):
            return "this kernel has no overlay filesystem"
    if find_unified_cgroups() is None:
        return "this machine has no cgroup v2 hierarchy, which systemd in a server needs"
    if missing_packages() and shutil.which("apt-get") is None:
        return f"these packages are missing: {' '.join(missing_packages())}"
    return None


def find_unified_cgroups() -> Path | None:
    """Return the mount point of the cgroup v2 hierarchy, or None."""
    for folder in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (folder / "cgroup.procs").is_file() and (folder / "cgroup.controllers").is_file():
            return folder
    return None


def missing_packages() -> list[str]:
    """List the missing packages."""
    return sorted(
        {
            package
            for program, package in NEEDED_PROGRAMS.items()
            if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None
        }
    )


def prepare() -> None:
    """Check this machine and install missing packages.

    Raises:
        LabError: Servers cannot run here.
    """
    reason = reason_it_cannot_run()
    if reason is not None:
        raise LabError(reason)
    allow_many_watches()
    packages = missing_packages()
    if packages:
        say(f"installing {' '.join(packages)}")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run_program(["apt-get", "update", "--quiet"], environment=quiet)
        run_program(
            ["apt-get", "install", "--yes", "--no-install-recommends", *packages],
            environment=quiet,
        )


def allow_many_watches() -> None:
    """Raise the kernel's limit on inotify instances: each server's systemd uses about a dozen.

    With the default of 128, about the tenth server fails to boot ("Failed to allocate manager
    object").
    """
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    try:
        if int(limit.read_text(encoding="ascii")) < INOTIFY_INSTANCES:
            limit.write_text(str(INOTIFY_INSTANCES), encoding="ascii")
    except OSError:
        say(f"cannot raise {limit}; this machine can run about ten servers")


def install_program(program: str, package: str) -> None:
    """Install a program that only some tests need, unless it is already installed.

    Args:
        program: Its name.
        package: The Debian package that provides it.
    """
    if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
        say(f"installing {package}")
        # Keep the package from starting its service on this machine.
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        run_program(["apt-get", "update", "--quiet"], environment=quiet)
        run_program(
            ["apt-get", "install", "--yes", "--no-install-recommends", package], environment=quiet
        )
