"""One lab server: what can be done to it from outside, as with a machine in a rack."""

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
from lab.proxy import start_proxy
from lab.record import Proxy, ServerRecord
from lab.rootfs import PLAIN_FOLDERS
from lab.state import LabFolder, write_json

BOOT_TIMEOUT = 60.0
"""Seconds until a server that does not answer counts as broken."""


class LabServer:
    """A running (or crashed) throw-away server."""

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
        """What is written down about this server."""
        record = ServerRecord.load(self.folder / "server.json")
        if record is None:
            raise LabError(f"there is no server {self.name}; see `python -m lab list`")
        return record

    @property
    def address(self) -> str:
        """The IP address on the lab's bridge."""
        return self.record.address

    @property
    def address6(self) -> str:
        """The IPv6 address on the lab's bridge, once it has one."""
        return self._network().address6(self.address)

    @property
    def hostname(self) -> str:
        """What the server calls itself."""
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
        """What the server's filesystem has that its image has not."""
        return self.folder / "upper"

    @property
    def changed_folders(self) -> dict[str, Path]:
        """Where this machine keeps what the server wrote, by the path in the server."""
        plain = {target: self.folder / name for name, target in PLAIN_FOLDERS.items()}
        return {"/": self.changes, **plain}

    @property
    def key(self) -> Path:
        """The private key for root, admin and deploy."""
        return keys.plain_key(self.lab_folder)

    @property
    def encrypted_key(self) -> Path:
        """The private key for admin that keys.KEY_PASSPHRASE opens."""
        return keys.encrypted_key(self.lab_folder)

    @property
    def control_group(self) -> Path:
        """The control group that holds the server's processes."""
        return self._power.control_group

    def process_space(self) -> str:
        """Name the process namespace that the server's processes are in; empty when it is off."""
        leader = self._power.leader()
        return str(Path(f"/proc/{leader}/ns/pid").readlink()) if leader is not None else ""

    @property
    def console(self) -> str:
        """The last lines on the server's console."""
        return self._power.console_tail()

    def is_on(self) -> bool:
        """Say whether the server has power."""
        return self._power.is_on()

    # --- power ---------------------------------------------------------------------------

    def start(self) -> None:
        """Boot the server with the disk as it is, and wait until it lets people log in.

        Raises:
            LabError: It is on already or does not come up.
        """
        if self.is_on():
            raise LabError(f"{self.name} is on already")
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
            # Until boot has ended, only root may log in. (Asking systemctl to wait for that hangs
            # when it is asked just before systemd begins to tell.)
            # sshd is asked first: that takes no program.
            if self._ssh_answers() and self._boot_state() in ("running", "degraded"):
                return
            if not self.is_on():
                break
            time.sleep(0.1)
        raise LabError(f"{self.name} does not come up:\n{self.console}")

    def _boot_state(self) -> str:
        """What systemd says of itself; empty while nobody answers."""
        try:
            return self.run("systemctl is-system-running", check=False, timeout=10).stdout.strip()
        except LabError:
            return ""

    def crash(self) -> None:
        """Pull the plug: every process dies at once, nothing is shut down."""
        self._power.pull_the_plug()

    def _ssh_answers(self) -> bool:
        if not Path(f"/sys/class/net/{self._cable.interface}/master").exists():
            return True  # The cable is cut: sshd cannot be asked from here.
        try:
            with socket.create_connection((self.address, 22), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    # --- network -------------------------------------------------------------------------

    def add_ipv6(self, *, alone: bool = False) -> str:
        """Give the server an IPv6 address, until it is started again.

        Args:
            alone: Take the IPv4 address away. Packages cannot be fetched then.

        Returns:
            The IPv6 address.
        """
        self._cable.add_ipv6(self._network(), self.address, alone=alone)
        return self.address6

    def cut(self) -> None:
        """Cut the network cable: connections hang, as they do in real life."""
        self._cable.cut()

    def mend(self) -> None:
        """Connect the cable again, and wait until the server is reached over it."""
        self._cable.mend(self._network())
        end = time.monotonic() + 10
        while self.is_on() and not self._ssh_answers() and time.monotonic() < end:
            time.sleep(0.05)

    def far(self, delay: float, port: int = 22) -> tuple[str, int]:
        """Put the server far away, behind a proxy that delays both directions.

        Args:
            delay: Milliseconds to add per round trip.
            port: The server's port.

        Returns:
            Host and port where the proxy listens.
        """
        proxy = start_proxy(self.address, port, delay)
        self._update(proxies=(*self.record.proxies, proxy))
        return "127.0.0.1", proxy.port

    def stop_far(self) -> None:
        """Take all proxies away."""
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
        """Run a command in the server as root, without going over SSH.

        Args:
            command: A line for `sh -c`, or program and arguments.
            stdin: What it reads.
            check: Raise when it fails.
            timeout: Seconds.

        Returns:
            The finished process with stdout and stderr as text.

        Raises:
            LabError: The server is off, or the command failed or took too long.
        """
        return run_program(self.enter_command(command), stdin=stdin, check=check, timeout=timeout)

    def enter_command(self, command: str | Sequence[str]) -> list[str]:
        """Return the words that run a command in the server, for a program of your own.

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
        """Return where this machine sees a folder of the running server, memory included.

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
        """Write a file in the running server; its folder is created.

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
        """Give somebody on the server another password.

        Args:
            user: Such as admin.
            password: The new one.
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
        """Return lines for known_hosts, one per host key.

        Args:
            host: What the server is called there; its address when None.
            port: The port that is connected to.
        """
        host = host or self.address
        label = host if port == 22 else f"[{host}]:{port}"
        return "\n".join(f"{label} {key}" for key in host_public_keys(self.folder / "host-keys"))

    def ssh_command(
        self, user: str = "root", *, key: Path | None = None, at: tuple[str, int] | None = None
    ) -> list[str]:
        """Return the words of an OpenSSH client call that trusts this server only.

        Args:
            user: Whom to log in as.
            key: The private key; the plain lab key when None.
            at: Host and port when not the server's own, such as what far() returned.
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
        """Create the filesystem of a new server; its record is written already."""
        for name in PLAIN_FOLDERS:
            (self.folder / name).mkdir()
        rootfs.lend_packages(self.lab_folder, self.suite, self.folder / "archives")
        self._mount()

    def reset(self) -> None:
        """Go back to the bare image, with the same name, address and host keys."""
        self._power.remove()
        rootfs.unmount(self.root)
        rootfs.store_packages(self.lab_folder, self.suite, self.folder / "archives")
        for name in ("upper", "work", "archives", *PLAIN_FOLDERS):
            shutil.rmtree(self.folder / name)
        self.set_up()
        self.start()

    def destroy(self) -> None:
        """Remove the server and everything that belongs to it."""
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
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(exist_ok=True)
        rootfs.mount_overlay(
            self.root,
            upper=self.changes,
            work=self.folder / "work",
            lower=[Path(layer) for layer in record.layers],
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

    def _network(self) -> Network:
        network = current_network(self.lab_folder)
        if network is None:
            raise LabError("the lab's bridge is gone; run `python -m lab down` and start again")
        return network

    def _update(self, *, proxies: tuple[Proxy, ...]) -> None:
        record = replace(self.record, proxies=proxies)
        write_json(self.folder / "server.json", asdict(record))
