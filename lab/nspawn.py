"""A server's power supply: systemd-nspawn and its control group."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.machine import find_unified_cgroups
from lab.process import ProcessIdentity, children_of, run_program

REBOOT_STATUS = 133
"""systemd-nspawn's exit status when the server requests a reboot (with --keep-unit)."""

NSPAWN_FOLDER = Path("/run/systemd/nspawn")
_MOUNT_NAME = "moorage-lab"

_SUPERVISOR = """\
{enter_groups}
echo $$ > '{number_file}'
exec < /dev/null >> '{console}' 2>&1
while :; do
    "$@"
    [ $? -eq {reboot_status} ] || exit
done
"""


@dataclass(frozen=True)
class PowerSupply:
    """Starts and stops the processes of one server."""

    machine: str
    """A name that is unique on this machine."""
    folder: Path
    """The server's folder, with root, console.log and the supervisor's process ID."""

    @property
    def _supervisor_file(self) -> Path:
        return self.folder / "supervisor"

    def switch_on(
        self, *, hostname: str, namespace: str, binds: Sequence[tuple[Path, str]]
    ) -> None:
        """Boot the server; it is not ready yet when this returns.

        Args:
            hostname: Its hostname.
            namespace: Its network namespace.
            binds: Folders of this machine and their mount points in the server.

        Raises:
            LabError: systemd-nspawn ended immediately.
        """
        _use_memory_for_nspawn()
        groups = self._control_groups()
        for group in groups:
            group.mkdir(parents=True, exist_ok=True)

        script = _SUPERVISOR.format(
            # Without its own control group, the server's systemd would manage its neighbour's.
            enter_groups="\n".join(f"echo $$ > '{group}/cgroup.procs'" for group in groups),
            number_file=self._supervisor_file,
            console=self.folder / "console.log",
            reboot_status=REBOOT_STATUS,
        )
        run_program(
            [
                "setsid",
                "--fork",
                *("sh", "-c", script, "lab-supervisor"),
                "systemd-nspawn",
                "--quiet",
                f"--directory={self.folder / 'root'}",
                f"--machine={self.machine}",
                f"--hostname={hostname}",
                "--boot",
                "--register=no",
                "--keep-unit",
                f"--network-namespace-path=/run/netns/{namespace}",
                "--capability=all",
                "--system-call-filter=add_key keyctl bpf",
                "--resolv-conf=off",
                "--timezone=off",
                *(f"--bind={source}:{target}" for source, target in binds),
            ],
            environment={
                "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1",
            },
        )
        identity = ProcessIdentity.of(int(self._supervisor_file.read_text()))
        if identity is None:
            raise LabError(f"the server did not start:\n{self.console_tail()}")
        self._supervisor_file.write_text(f"{identity.pid} {identity.started}\n")

    def is_on(self) -> bool:
        """Return whether the server is on; it may still be booting."""
        supervisor = self._supervisor()
        return supervisor is not None and supervisor.is_alive()

    def leader(self) -> int | None:
        """Return the server's init process, by its ID on this machine, or None."""
        # The kernel's list of children can miss one while others start and end.
        for _ in range(20):
            supervisor = self._supervisor()
            if supervisor is None or not supervisor.is_alive():
                return None
            found = self._find_leader(supervisor.pid)
            if found is not None:
                return found
            time.sleep(0.02)
        return None

    def _find_leader(self, supervisor: int) -> int | None:
        for nspawn in children_of(supervisor):
            for child in children_of(nspawn):
                if _is_first_in_its_namespace(child):
                    return child
        return None

    def wait_for_leader(self, timeout: float) -> int:
        """Wait until the server's init process runs.

        Args:
            timeout: Seconds.

        Raises:
            LabError: The server stopped or took too long.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            leader = self.leader()
            if leader is not None:
                return leader
            if not self.is_on():
                break
            time.sleep(0.02)
        raise LabError(f"{self.machine} does not boot:\n{self.console_tail()}")

    def pull_the_plug(self) -> None:
        """Kill the server's init process, and with it all others."""
        leader = self.leader()
        identity = ProcessIdentity.of(leader) if leader is not None else None
        if identity is not None:
            identity.kill()
        if not self._wait_until_off(5):
            self.remove()

    def remove(self) -> None:
        """Kill remaining processes and remove the control groups."""
        supervisor = self._supervisor()
        if supervisor is not None:
            supervisor.kill()
        groups = self._control_groups()
        kill_file = groups[0] / "cgroup.kill"
        if kill_file.exists():
            kill_file.write_text("1")
        self._wait_until_off(5)
        for group in groups:
            _remove_group(group)
        self._supervisor_file.unlink(missing_ok=True)
        shutil.rmtree(NSPAWN_FOLDER / "propagate" / self.machine, ignore_errors=True)

    def console_tail(self) -> str:
        """Return the last lines of the server's console."""
        try:
            text = (self.folder / "console.log").read_text("utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-15:])

    @property
    def control_group(self) -> Path:
        """The control group (version 2) of the server's processes."""
        return self._control_groups()[0]

    def _control_groups(self) -> list[Path]:
        return [group / self.machine for group in _all_control_groups()]

    def _supervisor(self) -> ProcessIdentity | None:
        try:
            pid, started = self._supervisor_file.read_text().split()
        except (OSError, ValueError):
            return None
        return ProcessIdentity(int(pid), int(started))

    def _wait_until_off(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if not self.is_on() and not self._has_processes():
                return True
            time.sleep(0.01)
        return False

    def _has_processes(self) -> bool:
        events = self._control_groups()[0] / "cgroup.events"
        try:
            return "populated 1" in events.read_text()
        except OSError:
            return False


def _is_first_in_its_namespace(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8", errors="replace")
        name = Path(f"/proc/{pid}/comm").read_text("utf-8", errors="replace").strip()
    except OSError:
        return False
    numbers = next((line for line in status.splitlines() if line.startswith("NSpid:")), "")
    # Before it executes the server's systemd, its root folder is the machine's.
    return numbers.split()[-1:] == ["1"] and name == "systemd"


def _remove_group(group: Path) -> None:
    if not group.is_dir():
        return
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            Path(folder).rmdir()
        except OSError:
            continue


def _use_memory_for_nspawn() -> None:
    """Mount a tmpfs for systemd-nspawn where /run is on a disk.

    There it refuses to remove its own folders, and then cannot reboot a server.
    """
    NSPAWN_FOLDER.mkdir(parents=True, exist_ok=True)
    kind = run_program(["stat", "--file-system", "--format=%T", NSPAWN_FOLDER]).stdout.strip()
    if kind != "tmpfs":
        run_program(["mount", "-t", "tmpfs", "-o", "mode=0755", _MOUNT_NAME, NSPAWN_FOLDER])


def release_machine() -> None:
    """Undo the changes to this machine, if no server of any lab folder is left."""
    if any(any(group.glob("*/")) for group in _all_control_groups()):
        return
    for group in _all_control_groups():
        _remove_group(group)
    if f"{_MOUNT_NAME} {NSPAWN_FOLDER} " in Path("/proc/mounts").read_text("utf-8"):
        run_program(["umount", NSPAWN_FOLDER], check=False)


def _all_control_groups() -> list[Path]:
    """List the lab's parent control groups, one in each hierarchy that systemd uses."""
    unified = find_unified_cgroups()
    if unified is None:
        raise LabError("this machine has no cgroup v2 hierarchy")
    # A hybrid setup also has systemd's own version 1 hierarchy, which must match.
    hierarchies = [unified, Path("/sys/fs/cgroup/systemd")]
    return [
        hierarchy / "moorage-lab"
        for hierarchy in hierarchies
        if (hierarchy / "cgroup.procs").is_file()
    ]
