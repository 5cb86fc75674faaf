"""Root filesystems for servers: built once, cached and read-only.

A bare image is a folder created by debootstrap. Every other image is an overlay layer on top of the
bare one, with packages installed. A server adds one more layer, so that it boots immediately.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab import apt
from lab.errors import LabError
from lab.keys import ADMIN_PASSWORD
from lab.machine import say
from lab.process import run_program
from lab.state import LabFolder

RECIPE_VERSION = 1
"""Increase it when the steps below change, so that cached images are rebuilt."""

BARE_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "sudo",
    "ca-certificates",
    "iproute2",
    "python3-minimal",
)

VARIANTS: dict[str, tuple[str, ...]] = {
    "bare": (),
    "ready": ("nginx", "libnginx-mod-http-js", "docker-registry", "openssl"),
    "client": (
        "docker.io",
        "skopeo",
        "podman",
        "crun",
        "iptables",
        "curl",
        "openssl",
        "apache2-utils",
        "tmux",
    ),
}
"""Image variants and the packages they add to the bare image."""

VARIANT_MASKED_UNITS: dict[str, tuple[str, ...]] = {
    # As Moorage leaves it after installing the package.
    "ready": ("docker-registry.service",),
}
"""Units of a variant's packages that must not start."""

SUITE_PACKAGES: dict[str, dict[str, tuple[str, ...]]] = {
    "trixie": {"docker.io": ("docker-cli",), "podman": ("nftables",)},
}
"""Packages that another package needs in one release to work as in the other."""

MASKED_UNITS = (
    # They would change the machine's kernel or disks.
    "systemd-sysctl.service",
    "systemd-binfmt.service",
    "systemd-modules-load.service",
    "fstrim.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    # They would take apt's locks at arbitrary times.
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    # The console is unused; the network is set up from outside.
    "console-getty.service",
    "getty.target",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-firstboot.service",
    "dev-hugepages.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    # They prepare what the machine or the image has prepared, or nothing here uses what they do;
    # they take a third of the time of a boot.
    "dev-mqueue.mount",
    "modprobe@configfs.service",
    "modprobe@dm_mod.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "modprobe@loop.service",
    "sys-fs-fuse-connections.mount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-initctl.socket",
    "systemd-logind.service",
    "systemd-sysusers.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
)

MASKED_GENERATORS = tuple(
    f"systemd-{name}-generator"
    for name in (
        "cryptsetup", "debug", "getty", "gpt-auto", "hibernate-resume", "integritysetup",
        "fstab", "rc-local", "run", "ssh", "system-update", "sysv", "tpm2", "veritysetup",
    )
)  # fmt: skip
"""Generators without effect here. They take half the time of a `systemctl daemon-reload`, and every
apply runs several."""

CONTAINERS_SETTINGS = """\
# A lab server has no cgroup controllers that it could delegate to a container.
[containers]
cgroups = "disabled"

[engine]
runtime = "crun"
"""

PLAIN_FOLDERS = {
    "docker": "/var/lib/docker",
    "containerd": "/var/lib/containerd",
    "containers": "/var/lib/containers",
}
"""Folders where container engines mount overlays, which does not work on an overlay."""

USERS_SCRIPT = """\
set -eu
printf '%s\\n' 'LANG=C.UTF-8' > /etc/default/locale
useradd --create-home --shell /bin/bash --uid 1000 --groups sudo admin
useradd --create-home --shell /bin/bash --uid 1001 deploy
printf '%s\\n' 'deploy ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/deploy
chmod 0440 /etc/sudoers.d/deploy
# Each login would start five processes for a message that only people read.
sed -i '/pam_motd/d' /etc/pam.d/sshd
chpasswd
rm -f /etc/ssh/ssh_host_* /etc/machine-id /var/lib/dbus/machine-id
"""

INSTALL_SCRIPT = """\
set -eu
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
apt-get update --quiet
apt-get install --yes --no-install-recommends "$@"
rm /usr/sbin/policy-rc.d
"""


@dataclass(frozen=True)
class RootImage:
    """A finished root filesystem."""

    suite: str
    variant: str
    layers: tuple[Path, ...]
    """Folders for an overlay mount, the uppermost first."""


def packages_of(suite: str, variant: str, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """List the packages that an image adds to a bare server.

    Args:
        suite: The Debian release.
        variant: A key of VARIANTS.
        extra: Additional packages.

    Raises:
        LabError: The suite or variant is unknown.
    """
    if suite not in apt.SUITES:
        raise LabError(f"suite {suite!r} is not one of: {', '.join(apt.SUITES)}")
    if variant not in VARIANTS:
        raise LabError(f"variant {variant!r} is not one of: {', '.join(VARIANTS)}")
    packages = [*VARIANTS[variant], *extra]
    for package, needed in SUITE_PACKAGES.get(suite, {}).items():
        if package in packages:
            packages += needed
    return tuple(dict.fromkeys(packages))


def ensure_image(
    folder: LabFolder, suite: str, variant: str = "bare", extra: Sequence[str] = ()
) -> RootImage:
    """Return an image; build it if necessary.

    Args:
        folder: The lab's folder.
        suite: The Debian release.
        variant: A key of VARIANTS.
        extra: Additional packages.

    Raises:
        LabError: It could not be built.
    """
    packages = packages_of(suite, variant, extra)
    bare = _ensure_bare(folder, suite)
    if not packages:
        return RootImage(suite, variant, (bare,))
    key = _key(bare.parent.name, *sorted(packages))
    home = folder.images / f"{suite}-{variant}-{key}"
    with folder.lock(f"image-{home.name}"):
        if not (home / "image.json").exists():
            say(f"building the {suite} image with {' '.join(packages)} (once)")
            masked = VARIANT_MASKED_UNITS.get(variant, ())
            _build_layer(folder, home, bare, suite, packages=packages, masked=masked)
    return RootImage(suite, variant, (home / "layer", bare))


def _ensure_bare(folder: LabFolder, suite: str) -> Path:
    key = _key(
        str(RECIPE_VERSION),
        apt.sources_text(suite),
        *(path.read_text("utf-8", errors="replace") for path in apt.settings_files()),
        apt.SERVER_SETTINGS,
        CONTAINERS_SETTINGS,
        USERS_SCRIPT,
        *BARE_PACKAGES,
        *MASKED_UNITS,
    )
    home = folder.images / f"{suite}-bare-{key}"
    with folder.lock(f"image-{home.name}"):
        if not (home / "image.json").exists():
            say(f"building the bare {suite} image (once, about a minute)")
            _build_bare(folder, home, suite)
    return home / "root"


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


def _build_bare(folder: LabFolder, home: Path, suite: str) -> None:
    with _draft(home) as draft:
        root = draft / "root"
        mirror = apt.read_sources()[0].uri
        run_program(
            [
                "debootstrap",
                "--variant=minbase",
                f"--include={','.join(BARE_PACKAGES)}",
                suite,
                root,
                mirror,
            ],
            environment=apt.proxy_environment(),
        )
        store_packages(folder, suite, root / "var/cache/apt/archives")
        for package in (root / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        apt.write_configuration(root, suite)
        (root / "etc/containers/containers.conf.d").mkdir(parents=True)
        (root / "etc/containers/containers.conf.d/lab.conf").write_text(
            CONTAINERS_SETTINGS, encoding="utf-8"
        )
        for unit in MASKED_UNITS:
            (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
        upgrade = "apt-get update --quiet && apt-get upgrade --yes --quiet"
        run_in_root(folder, root, suite, ["sh", "-c", upgrade])
        run_in_root(
            folder, root, suite, ["sh", "-c", USERS_SCRIPT], stdin=f"admin:{ADMIN_PASSWORD}\n"
        )
        (draft / "image.json").write_text(json.dumps({"suite": suite}), encoding="utf-8")


def _build_layer(
    folder: LabFolder,
    home: Path,
    bare: Path,
    suite: str,
    *,
    packages: Sequence[str],
    masked: Sequence[str],
) -> None:
    with _draft(home) as draft:
        layer, work, root = draft / "layer", draft / "work", draft / "root"
        for path in (layer, work, root):
            path.mkdir()
        mount_overlay(root, upper=layer, work=work, lower=(bare,))
        try:
            for unit in masked:
                (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
            run_in_root(folder, root, suite, ["sh", "-c", INSTALL_SCRIPT, "sh", *packages])
        finally:
            unmount(root)
        shutil.rmtree(work)
        (draft / "image.json").write_text(
            json.dumps({"suite": suite, "packages": list(packages)}), encoding="utf-8"
        )


def _remove(leftover: Path) -> None:
    """Remove a killed build's files, which its child processes may still be writing."""
    end = time.monotonic() + 60
    while leftover.exists() and time.monotonic() < end:
        unmount(leftover)
        shutil.rmtree(leftover, ignore_errors=True)
        time.sleep(0.1)


@contextmanager
def _draft(home: Path) -> Iterator[Path]:
    """Build in a temporary folder and rename it to the image's name on success."""
    for leftover in home.parent.glob(f".{home.name}.*"):
        _remove(leftover)
    # The process ID keeps it apart from a killed build whose debootstrap is still writing.
    draft = home.with_name(f".{home.name}.{os.getpid()}")
    draft.mkdir(parents=True)
    yield draft
    draft.rename(home)


def run_in_root(
    folder: LabFolder, root: Path, suite: str, command: Sequence[str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command in a filesystem that is not booted, with the machine's network.

    Args:
        folder: The lab's folder.
        root: The filesystem's root folder.
        suite: Its Debian release.
        command: Program and arguments, run as root.
        stdin: Its standard input.
    """
    private = root.parent / "archives"
    fill_package_cache(folder, suite, private)
    done = run_program(
        [
            "systemd-nspawn",
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--console=pipe",
            "--resolv-conf=replace-host",
            f"--directory={root}",
            f"--machine=lab-build-{_key(str(root))}",
            f"--bind={private}:/var/cache/apt/archives",
            "--setenv=DEBIAN_FRONTEND=noninteractive",
            "--setenv=LC_ALL=C.UTF-8",
            *command,
        ],
        stdin=stdin,
    )
    store_packages(folder, suite, private)
    shutil.rmtree(private)
    return done


def fill_package_cache(folder: LabFolder, suite: str, target: Path) -> None:
    """Give a server its own package cache with everything downloaded before.

    The files are hard links, so nothing is copied, and each server can lock and clean its own.

    Args:
        folder: The lab's folder.
        suite: The server's release.
        target: The folder that becomes the server's /var/cache/apt/archives.
    """
    shared = folder.packages(suite)
    shared.mkdir(parents=True, exist_ok=True)
    (target / "partial").mkdir(parents=True, exist_ok=True)
    _link_packages(shared, target)


def store_packages(folder: LabFolder, suite: str, source: Path) -> None:
    """Keep a server's downloaded packages for the next one.

    Args:
        folder: The lab's folder.
        suite: The server's release.
        source: Its package cache; apt puts only complete, checked files there.
    """
    shared = folder.packages(suite)
    shared.mkdir(parents=True, exist_ok=True)
    # A server whose setup was interrupted has no package cache yet.
    with suppress(FileNotFoundError):
        _link_packages(source, shared)


def _link_packages(source: Path, target: Path) -> None:
    """Link the packages that a folder lacks; there are hundreds, so this builds no Paths."""
    present = {entry.name for entry in os.scandir(target)}
    for entry in os.scandir(source):
        if entry.name.endswith(".deb") and entry.name not in present:
            # If another process was faster, it linked the same file.
            with suppress(FileExistsError, FileNotFoundError):
                os.link(entry.path, f"{target}/{entry.name}")


def mount_overlay(
    root: Path, *, upper: Path, work: Path, lower: Sequence[Path], is_throwaway: bool = False
) -> None:
    """Mount a writable layer on top of others.

    Args:
        root: The mount point.
        upper: The writable folder.
        work: An empty folder beside it, which the kernel needs.
        lower: Read-only folders, the uppermost first.
        is_throwaway: Never wait until data is on this machine's disk. Unmounting would write
            everything that any program has left to write, just to delete the layer.
    """
    layers = ":".join(str(path) for path in lower)
    options = f"lowerdir={layers},upperdir={upper},workdir={work}"
    if is_throwaway:
        options += ",volatile"
    run_program(["mount", "-t", "overlay", "moorage-lab", "-o", options, root])


def mask_generators(root: Path) -> None:
    """Mask the systemd generators that have no effect in a lab server.

    Args:
        root: The server's root folder, before it boots.
    """
    folder = root / "etc/systemd/system-generators"
    folder.mkdir(parents=True, exist_ok=True)
    for name in MASKED_GENERATORS:
        # A snapshot has them already.
        with suppress(FileExistsError):
            (folder / name).symlink_to("/dev/null")


def unmount(path: Path) -> None:
    """Unmount everything at or below a folder.

    Args:
        path: The folder; it need not exist.
    """
    mounts = Path("/proc/self/mounts").read_text("utf-8", errors="surrogateescape")
    points = [Path(line.split()[1].replace("\\040", " ")) for line in mounts.splitlines()]
    for point in reversed([point for point in points if point.is_relative_to(path)]):
        if run_program(["umount", point], check=False).returncode != 0:
            # A process on this machine still uses it: detach it, the kernel cleans up later.
            run_program(["umount", "--lazy", point])
