"""One lab server, controlled from outside like a machine in a rack."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from lab import keys, rootfs
from lab.errors import LabError
from lab.identity import host_public_keys, write_identity
from lab.network import Cable, Network, current_network
from lab.nspawn import PowerSupply
from lab.process import ProcessIdentity, run_program
from lab.proxy import start_delaying_proxy
from lab.record import Proxy, ServerRecord
from lab.rootfs import PLAIN_FOLDERS
from lab.snapshots import Snapshot, is_snapshot
from lab.state import LabFolder, write_json

BOOT_TIMEOUT = 60.0
"""Seconds a server has to boot."""


class LabServer:
    """A running or stopped lab server."""

    def __init__(self, lab_folder: LabFolder, name: str) -> None:
        self.lab_folder = lab_folder
        self.name = name
        self.folder = lab_folder.servers / name
        self._cable = Cable.for_server(lab_folder, name)
        self._power = PowerSupply(self._cable.namespace[:64], self.folder)

    def __repr__(self) -> str:
        return f"LabServer({self.name!r})"

    @property
    def record(self) -> ServerRecord:
        """The server's record."""
        record = ServerRecord.load(self.folder / "server.json")
        if record is None:
            raise LabError(f"server {self.name} does not exist; see `python -m lab list`")
        return record

    @property
    def address(self) -> str:
        """The IP address on the lab's bridge."""
        return self.record.address

    @property
    def address6(self) -> str:
        """The IPv6 address on the lab's bridge, after :meth:`add_ipv6`."""
        return self._network().address6(self.address)

    @property
    def hostname(self) -> str:
        """The server's hostname."""
        return self.record.hostname

    @property
    def suite(self) -> str:
        """The Debian release."""
        return self.record.suite

    @property
    def root(self) -> Path:
        """The server's filesystem, seen from this machine (without its /run and /tmp)."""
        return self.folder / "root"

    @property
    def changes(self) -> Path:
        """The overlay layer with the server's changes to its image."""
        return self.folder / "upper"

    @property
    def changed_folders(self) -> dict[str, Path]:
        """Folders on this machine with what the server wrote, by their path in the server."""
        plain = {target: self.folder / name for name, target in PLAIN_FOLDERS.items()}
        return {"/": self.changes, **plain}

    @property
    def key(self) -> Path:
        """The private key for root, admin and deploy."""
        return keys.plain_key(self.lab_folder)

    @property
    def encrypted_key(self) -> Path:
        """The private key for admin that is encrypted with keys.KEY_PASSPHRASE."""
        return keys.encrypted_key(self.lab_folder)

    @property
    def control_group(self) -> Path:
        """The control group of the server's processes."""
        return self._power.control_group

    def process_space(self) -> str:
        """Return the PID namespace of the server's processes; empty when it is off."""
        leader = self._power.leader()
        return str(Path(f"/proc/{leader}/ns/pid").readlink()) if leader is not None else ""

    @property
    def console(self) -> str:
        """The last lines on the server's console."""
        return self._power.console_tail()

    def is_on(self) -> bool:
        """Return whether the server is on."""
        return self._power.is_on()

    # --- power ---------------------------------------------------------------------------

    def start(self) -> None:
        """Boot the server from its existing disk, and wait until it accepts logins.

        Raises:
            LabError: It is already on, or does not come up.
        """
        if self.is_on():
            raise LabError(f"{self.name} is already on")
        self._power.remove()
        record = self.record
        self._cable.plug_in(self._network(), record.address)
        if not self.root.is_mount():
            self._mount()
        self._power.switch_on(
            hostname=record.hostname,
            namespace=self._cable.namespace,
            binds=[
                *((self.folder / name, target) for name, target in PLAIN_FOLDERS.items()),
                (self.folder / "archives", "/var/cache/apt/archives"),
            ],
        )
        self.wait_until_up()

    def shut_down(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Shut the server down and wait until it is off.

        Args:
            timeout: Seconds.

        Raises:
            LabError: It took too long.
        """
        self.run("systemctl --no-block poweroff")
        end = time.monotonic() + timeout
        while self.is_on():
            if time.monotonic() > end:
                raise LabError(f"{self.name} does not shut down:\n{self.console}")
            time.sleep(0.02)

    def wait_until_up(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Wait until the server has booted and sshd answers.

        Args:
            timeout: Seconds.

        Raises:
            LabError: It took too long.
        """
        end = time.monotonic() + timeout
        self._power.wait_for_leader(timeout)
        while time.monotonic() < end:
            # Only root can log in before boot has finished. (`systemctl --wait` hangs when it is
            # called just before systemd starts to send signals.)
            # Check sshd first, which does not need a process in the server.
            if self._ssh_answers() and self._boot_state() in ("running", "degraded"):
                return
            if not self.is_on():
                break
            time.sleep(0.1)
        raise LabError(f"{self.name} does not come up:\n{self.console}")

    def _boot_state(self) -> str:
        """Return systemd's state; empty while it does not answer."""
        try:
            return self.run("systemctl is-system-running", check=False, timeout=10).stdout.strip()
        except LabError:
            return ""

    def crash(self) -> None:
        """Cut the power: all processes die at once, without a shutdown."""
        self._power.pull_the_plug()

    def _ssh_answers(self) -> bool:
        if not Path(f"/sys/class/net/{self._cable.interface}/master").exists():
            return True  # The cable is cut: sshd cannot be reached from here.
        try:
            with socket.create_connection((self.address, 22), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    # --- network -------------------------------------------------------------------------

    def add_ipv6(self, *, alone: bool = False) -> str:
        """Give the server an IPv6 address, until its next start.

        Args:
            alone: Remove the IPv4 address, without which packages cannot be downloaded.

        Returns:
            The IPv6 address.
        """
        self._cable.add_ipv6(self._network(), self.address, alone=alone)
        return self.address6

    def cut(self) -> None:
        """Cut the network cable: connections hang, as with a real one."""
        self._cable.cut()

    def reconnect(self) -> None:
        """Reconnect the network cable, and wait until the server is reachable."""
        self._cable.reconnect(self._network())
        end = time.monotonic() + 10
        while self.is_on() and not self._ssh_answers() and time.monotonic() < end:
            time.sleep(0.05)

    def start_proxy(self, delay: float, port: int = 22) -> tuple[str, int]:
        """Start a proxy to the server that adds latency.

        Args:
            delay: Milliseconds to add per round trip, half of it in each direction.
            port: The server's port.

        Returns:
            The proxy's host and port.
        """
        proxy = start_delaying_proxy(self.address, port, delay)
        self._update(proxies=(*self.record.proxies, proxy))
        return "127.0.0.1", proxy.port

    def stop_proxies(self) -> None:
        """Stop all proxies to the server."""
        for proxy in self.record.proxies:
            ProcessIdentity(proxy.pid, proxy.started).kill()
        self._update(proxies=())

    # --- inside --------------------------------------------------------------------------

    def run(
        self,
        command: str | Sequence[str],
        *,
        stdin: str | None = None,
        check: bool = True,
        timeout: float | None = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the server as root, without SSH.

        Args:
            command: A line for `sh -c`, or program and arguments.
            stdin: Its standard input.
            check: Raise when it fails.
            timeout: Seconds.

        Returns:
            The finished process with stdout and stderr as text.

        Raises:
            LabError: The server is off, or the command failed or took too long.
        """
        return run_program(self.enter_command(command), stdin=stdin, check=check, timeout=timeout)

    def enter_command(self, command: str | Sequence[str]) -> list[str]:
        """Return the argument list that runs a command in the server.

        Args:
            command: A line for `sh -c`, or program and arguments.

        Raises:
            LabError: The server is off.
        """
        leader = self._power.leader()
        if leader is None:
            raise LabError(f"{self.name} is off")
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        environment = (
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LANG=C.UTF-8",
            "DEBIAN_FRONTEND=noninteractive",
            f"TERM={os.environ.get('TERM', 'dumb')}",
        )
        enter = ["nsenter", f"--target={leader}", "--all"]
        return [*enter, "env", "--chdir=/root", "--ignore-environment", *environment, *words]

    def inside(self, path: str) -> Path:
        """Return the path on this machine of a running server's folder, including tmpfs.

        Args:
            path: The absolute path in the server.

        Raises:
            LabError: The server is off.
        """
        leader = self._power.leader()
        if leader is None:
            raise LabError(f"{self.name} is off")
        return Path(f"/proc/{leader}/root{path}")

    def write_file(self, path: str, content: str, *, mode: int = 0o644) -> None:
        """Write a file in the running server; creates its folder.

        Args:
            path: The absolute path in the server.
            content: Its text.
            mode: Its permissions.
        """
        script = 'mkdir -p "$(dirname "$1")" && umask 077 && cat > "$1" && chmod "$2" "$1"'
        self.run(["sh", "-c", script, "sh", path, f"{mode:o}"], stdin=content)

    def read_file(self, path: str) -> str:
        """Return a text file of the running server.

        Args:
            path: The absolute path in the server.
        """
        return self.run(["cat", path]).stdout

    def set_password(self, user: str, password: str) -> None:
        """Change the password of an account on the server.

        Args:
            user: The account, such as admin.
            password: The new password.
        """
        self.run("chpasswd", stdin=f"{user}:{password}\n")

    # --- SSH -----------------------------------------------------------------------------

    def host_key_fingerprint(self, kind: str = "ed25519") -> str:
        """Return the fingerprint of a host key, as SHA256:...

        Args:
            kind: ed25519 or ecdsa.
        """
        path = self.folder / "host-keys" / f"ssh_host_{kind}_key.pub"
        return run_program(["ssh-keygen", "-l", "-f", path]).stdout.split()[1]

    def known_hosts_line(self, host: str | None = None, port: int = 22) -> str:
        """Return the server's known_hosts lines, one per host key.

        Args:
            host: The host name in the lines; the server's address when None.
            port: The SSH port.
        """
        host = host or self.address
        label = host if port == 22 else f"[{host}]:{port}"
        return "\n".join(f"{label} {key}" for key in host_public_keys(self.folder / "host-keys"))

    def ssh_command(
        self, user: str = "root", *, key: Path | None = None, at: tuple[str, int] | None = None
    ) -> list[str]:
        """Return the arguments of an OpenSSH client call that trusts only this server.

        Args:
            user: The account to log in to.
            key: The private key; the unencrypted lab key when None.
            at: Host and port, if not the server's own, such as those of :meth:`start_proxy`.
        """
        host, port = at or (self.address, 22)
        known_hosts = self.folder / f"known_hosts-{port}"
        known_hosts.write_text(self.known_hosts_line(host, port) + "\n", encoding="utf-8")
        options = [
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "ConnectTimeout=10",
            "StrictHostKeyChecking=yes",
            f"UserKnownHostsFile={known_hosts}",
        ]
        return [
            *("ssh", "-F", "none", "-i", str(key or self.key), "-p", str(port)),
            *(f"-o{option}" for option in options),
            f"{user}@{host}",
        ]

    # --- life ----------------------------------------------------------------------------

    def set_up(self) -> None:
        """Create the filesystem of a new server, which already has a record."""
        for name in PLAIN_FOLDERS:
            (self.folder / name).mkdir()
        rootfs.fill_package_cache(self.lab_folder, self.suite, self.folder / "archives")
        self._mount()

    def take_snapshot(self, folder: Path) -> Snapshot:
        """Shut the server down and turn its disk into a snapshot; the server cannot start again.

        Folders of container engines are left out.

        Args:
            folder: The snapshot's folder, in the lab's folder.
        """
        self.shut_down()
        self._power.remove()
        rootfs.unmount(self.root)
        return Snapshot.take(self.record, self.changes, folder)

    def reset(self) -> None:
        """Reset the server to its image, keeping its name, address and host keys."""
        self._power.remove()
        rootfs.unmount(self.root)
        rootfs.store_packages(self.lab_folder, self.suite, self.folder / "archives")
        for name in ("upper", "work", "archives", *PLAIN_FOLDERS):
            shutil.rmtree(self.folder / name)
        self.set_up()
        self.start()

    def destroy(self) -> None:
        """Remove the server and all its files."""
        record = ServerRecord.load(self.folder / "server.json")
        for proxy in record.proxies if record else ():
            ProcessIdentity(proxy.pid, proxy.started).kill()
        self._power.remove()
        self._cable.remove()
        rootfs.unmount(self.folder)
        if record is not None:
            rootfs.store_packages(self.lab_folder, record.suite, self.folder / "archives")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _mount(self) -> None:
        record = self.record
        # The kernel marks the folder, so that a machine that was turned off notices.
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(exist_ok=True)
        rootfs.mount_overlay(
            self.root,
            upper=self.changes,
            work=self.folder / "work",
            lower=[Path(layer) for layer in record.layers],
            is_throwaway=True,
        )
        if not (self.root / "etc/machine-id").exists():
            rootfs.mask_generators(self.root)
            write_identity(
                self.root,
                hostname=record.hostname,
                host_keys=self.folder / "host-keys",
                user_keys=[self.key],
                admin_keys=[self.key, self.encrypted_key],
            )
            if is_snapshot(Path(record.layers[0])):
                snapshot = Snapshot.load(Path(record.layers[0]).parent)
                snapshot.readdress(self.root, record.address)

    def _network(self) -> Network:
        network = current_network(self.lab_folder)
        if network is None:
            raise LabError("the lab's bridge is missing; run `python -m lab down` and start again")
        return network

    def _update(self, *, proxies: tuple[Proxy, ...]) -> None:
        record = replace(self.record, proxies=proxies)
        write_json(self.folder / "server.json", asdict(record))
