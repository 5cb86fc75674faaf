"""A fake server, for states that are hard to provoke on real ones, which tests/lab uses.

It answers the probe like a fresh Debian and takes every change. A test makes it unreachable,
unknown, slow, hostile or failing.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from probe_answer import probe_answer

from moorage.answers.load import load
from moorage.answers.model import Server
from moorage.answers.record import without_secrets
from moorage.answers.secrets import Secret
from moorage.desired import layout
from moorage.desired.users import RegistryUser, read_users, user_files
from moorage.errors import CannotConnect, MoorageError, SecretName
from moorage.images.activity import Index
from moorage.servers.sudo import password_wrong
from moorage.servers.transport import (
    MOST_PROMPTS,
    Asker,
    Cancel,
    Completed,
    Exchange,
    HostKey,
    LoginAsker,
    LoginRequest,
    Resolve,
)
from templates.load import shell_script

FINGERPRINT = "SHA256:" + "A" * 43
HASH = "$2y$12$" + "a" * 53
DONE = "@result\tdone\tok\n"
LONG = 600
"""Seconds after which something that a test never does is given up."""


def some_user(name: str, access: str = "push", *rules: str, disabled: bool = False) -> RegistryUser:
    """Return a user with a bcrypt hash."""
    return RegistryUser(name, HASH, access, rules, disabled)  # type: ignore[arg-type]


def no_answer(server: str, code: str | None = None) -> CannotConnect:
    """The error of a server that does not answer."""
    return CannotConnect("No answer.", advice="Try later.", server=server, code=code)


@dataclass
class FakeServer:
    """A fake server, and what happened to it.

    Attributes:
        server: Its label.
        fault: The error that connecting raises.
        unknown_key: The fingerprint that has to be accepted; empty when the key is known.
        login: The error for a login without a known key.
        password: The login password; None accepts any.
        sudo_password: The sudo password, if sudo asks for one.
        slow: An event that connecting waits for, if it is to hang.
        public_address: Its address.
        extra_facts: Additional lines of the probe's output.
        lacks: Lines of the probe's output that it does not have.
        files: The content of existing managed files, by path.
        logs: The output of ``logs.sh``.
        activity: What ``activity.sh`` prints: who pushed and pulled what.
        images: The folder of this machine that has its images; None if nothing was ever pushed.
        history: What ``history.sh`` prints.
        run_log: What ``run_log.sh`` prints.
        trash: What ``trash.sh`` prints.
        calendar: What systemd says about a schedule: a status, and what it prints.
        newest: What ``newest.sh`` prints.
        images_fault: The error of reading the images.
        slow_images: An event that reading the images waits for, if it is to take long.
        has_no_logs: Whether its logs cannot be read.
        loses_logs: Whether the connection that follows its logs is lost, once.
        log: A run's output before its result.
        result: A run's result.
        run_fault: The error that ends a run, such as a lost connection.
        slow_run: An event that a run waits for, if it is to take long.
        waits_for_abort: Whether a run continues until it is aborted.
        logged_in: The password or key file that was entered.
        calendars: The schedules that systemd was asked about.
        connections: How often it was connected to.
        closed: How many connections were closed.
        runs: How many runs were started.
        settings: The settings of the last run.
        has_begun: Set when a run has begun.
        aborted: Set when the last run was aborted; a test can set it to end a run.
    """

    server: str
    fault: MoorageError | None = None
    unknown_key: str = ""
    login: LoginRequest | None = None
    password: str | None = None
    sudo_password: str | None = None
    slow: threading.Event | None = None
    public_address: str = "127.0.0.1"
    extra_facts: str = ""
    lacks: tuple[str, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)
    logs: bytes = b""
    activity: Index = field(default_factory=Index)
    images: Path | None = None
    history: bytes = b"end\n"
    run_log: bytes = b""
    trash: bytes = b""
    calendar: tuple[int, bytes] = (0, b"  Next elapse: Sun 2099-01-04 03:00:00 UTC\n")
    calendars: list[str] = field(default_factory=list)
    newest: bytes = b""
    images_fault: MoorageError | None = None
    slow_images: threading.Event | None = None
    has_no_logs: bool = False
    loses_logs: bool = False
    log: str = "@step\t1\tpackages\nSetting up nginx\n"
    result: str = DONE
    run_fault: MoorageError | None = None
    slow_run: threading.Event | None = None
    waits_for_abort: bool = False
    logged_in: Secret | Path | None = None
    connections: int = 0
    closed: int = 0
    runs: int = 0
    settings: str = ""
    has_begun: threading.Event = field(default_factory=threading.Event)
    aborted: threading.Event = field(default_factory=threading.Event)

    @property
    def users(self) -> dict[str, RegistryUser]:
        """Its users, by name."""
        return {user.name: user for user in read_users(self.files)}

    def put(self, users: Sequence[RegistryUser], revision: int = 1) -> None:
        """Set its users, as a change by Moorage."""
        for path in (layout.HTPASSWD, layout.HTPASSWD_DISABLED, layout.ACCESS_MAP):
            self.files.pop(path, None)
        self.files |= user_files(users)
        self.files[layout.UPSTREAM] = b"upstream registry { server 127.0.0.1:5101; }\n"
        digests = {path: hashlib.sha256(each).hexdigest() for path, each in self.files.items()}
        record = {
            "version": 1,
            "users": {"revision": revision, "declared": []},
            "digests": digests,
            "answers": {
                "version": 1,
                "registry": {"domain": "registry.example.com"},
                "servers": [{"host": self.server}],
                "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
                "ssl": {"mode": "none"},
            },
        }
        self.files[layout.DEPLOYMENT] = json.dumps(record).encode()

    def connect(self, asker: Asker) -> None:
        """Connect as the operator whom the asker asks."""
        self.connections += 1
        if self.slow is not None:
            self.slow.wait(LONG)
        if self.unknown_key and not asker.accept_host_key(
            HostKey(self.server, self.server, "ssh-ed25519", self.unknown_key)
        ):
            raise CannotConnect(
                f"The host key is not known: {self.unknown_key}.",
                server=self.server,
                code="host_key_unknown",
            )
        if self.login is not None:
            self._log_in(self.login, asker)
        if self.fault is not None:
            raise self.fault
        if self.sudo_password is not None:
            self._check_sudo(Secret(self.sudo_password), asker)

    def _log_in(self, login: LoginRequest, asker: Asker) -> None:
        assert isinstance(asker, LoginAsker)
        rejected: Secret | None = None
        for _ in range(MOST_PROMPTS):
            given = asker.login(replace(login, rejected=rejected))
            if given is None:
                break
            self.logged_in = given
            if self.password is None or given == Secret(self.password):
                return
            assert isinstance(given, Secret)
            rejected = given
        raise CannotConnect(
            "The login as root was refused.",
            server=self.server,
            code="login_refused",
            refused=login.what,
        )

    def _check_sudo(self, right: Secret, asker: Asker) -> None:
        given: Secret | None = None
        for _ in range(MOST_PROMPTS):
            given = asker.secret(SecretName("sudo_password", "admin"), self.server, given)
            if given is None or given == right:
                break
        if given != right:
            raise password_wrong("admin", self.server)


def deploy(server: FakeServer, file: Path) -> None:
    """Make a server one that a file of answers for `registry.example.test` was applied to."""
    record = {"server": server.server, "domain": "registry.example.test",
              "answers": without_secrets(load(file))}  # fmt: skip
    server.files = {
        layout.DEPLOYMENT: json.dumps(record).encode(),
        layout.UPSTREAM: b"server 127.0.0.1:5101;\n",
    }


class FakeServers(dict[str, FakeServer]):
    """Fake servers by host; by default, each is a fresh Debian.

    Attributes:
        opened: The servers that connections were opened to.
    """

    def __init__(self, public_address: str = "127.0.0.1") -> None:
        super().__init__()
        self._public_address = public_address
        self.opened: list[Server] = []

    def __missing__(self, host: str) -> FakeServer:
        self[host] = FakeServer(host, public_address=self._public_address)
        return self[host]

    def open(self, server: Server, asker: Asker, _resolve: Resolve) -> FakeConnection:
        """Replace :func:`moorage.servers.connect.open_transport`."""
        self.opened.append(server)
        return FakeConnection(self[server.host], asker)

    def end(self) -> None:
        """End all runs."""
        for server in self.values():
            server.aborted.set()


class WithoutQuestions:
    """An operator who refuses every question."""

    def accept_host_key(self, key: HostKey) -> bool:
        """Refuse a key."""
        return False

    def secret(self, what: SecretName, server: str | None, rejected: Secret | None = None) -> None:
        """Know no secret."""


class FakeConnection:
    """A connection to a fake server: the transport.

    Args:
        server: The server.
        asker: Asks for host keys and secrets.
    """

    def __init__(self, server: FakeServer, asker: Asker) -> None:
        self._to = server
        self._asker = asker

    @property
    def server(self) -> str:
        """The server's label."""
        return self._to.server

    @property
    def public_address(self) -> str:
        """The server's address."""
        return self._to.public_address

    def connect(self) -> None:
        """Connect."""
        self._to.connect(self._asker)

    def run(
        self,
        script: str,
        *,
        payload: bytes | Iterable[bytes] = b"",
        on_stdout: Callable[[bytes], None] | None = None,
        on_start: Callable[[Exchange], None] | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        cancel: Cancel | None = None,
    ) -> Completed:
        """Answer as the script would on a server."""
        sent = payload if isinstance(payload, bytes) else b"".join(payload)
        if script.endswith(shell_script("probe.sh")):
            requested = sent.decode().splitlines()[3:]
            output = probe_answer(self._to.extra_facts, self._to.files, requested, self._to.lacks)
        elif script == shell_script("logs.sh"):
            output = b"".join(b"r" + line for line in self._to.logs.splitlines(keepends=True))
            if self._to.loses_logs:
                self._to.loses_logs = False
                assert on_stdout is not None
                on_stdout(b"@\n" + output)
                raise no_answer(self.server)
            output = b"@\n" + output
        elif script == shell_script("activity.sh"):
            if self._to.has_no_logs:
                raise no_answer(self.server)
            output = gzip.compress(
                "".join(f"{line}\n" for line in self._to.activity.write()).encode()
            )
        elif script.endswith(shell_script("newest.sh")):
            output = self._to.newest
        elif script.endswith(shell_script("history.sh")):
            output = gzip.compress(self._to.history)
        elif script == shell_script("deployments.sh"):
            output = _without_kept_deployments(self._to.files.get(layout.DEPLOYMENT, b""))
        elif script == shell_script("run_log.sh"):
            output = gzip.compress(self._to.run_log)
        elif script.endswith(shell_script("uninstalled.sh")):
            output = b""
        elif script == shell_script("trash.sh"):
            output = self._to.trash
        elif "systemd-analyze calendar" in script and on_start is None:
            self._to.calendars.append(sent.decode().strip())
            return Completed(self._to.calendar[0], self._to.calendar[1], b"")
        elif script in (shell_script("images.sh"), shell_script("blobs.sh")):
            return self._read_images(script, sent, on_stdout)
        else:
            assert on_stdout is not None
            assert on_start is not None
            _FakeRun(self._to, sent, on_stdout).follow(on_start)
            return Completed(0, b"", b"")
        if on_stdout is None:
            return Completed(0, output, b"")
        on_stdout(output)
        return Completed(0, b"", b"")

    def _read_images(
        self, script: str, sent: bytes, on_stdout: Callable[[bytes], None] | None
    ) -> Completed:
        """Run a script on the folder of this machine that has the server's images."""
        if self._to.slow_images is not None:
            self._to.slow_images.wait(LONG)
        if self._to.images_fault is not None:
            raise self._to.images_fault
        sent = str(self._to.images).encode() + sent[sent.index(b"\n") :]
        done = subprocess.run(["sh", "-c", script], input=sent, capture_output=True, check=False)
        if on_stdout is None:
            return Completed(done.returncode, done.stdout, done.stderr)
        on_stdout(done.stdout)
        return Completed(done.returncode, b"", done.stderr)

    def close(self) -> None:
        """Close the connection."""
        self._to.closed += 1
        if self._to.slow is not None:
            self._to.slow.set()


def _without_kept_deployments(record: bytes) -> bytes:
    """Return what ``deployments.sh`` prints if only the record is there."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo("deployment.json")
        entry.size = len(record)
        tar.addfile(entry, io.BytesIO(record))
    return packed.getvalue()


class _FakeRun:
    """A run on a fake server, started by this connection or an earlier one."""

    def __init__(self, server: FakeServer, sent: bytes, report: Callable[[bytes], None]) -> None:
        self._server = server
        self._report = report
        self._messages: list[bytes] = []
        self._arrived = threading.Condition()
        self._plan = _unpacked(sent)
        server.aborted.clear()
        server.runs += 1
        server.settings = self._plan.get("plan/settings", b"").decode()

    def follow(self, on_start: Callable[[Exchange], None]) -> None:
        """Report the run until it ends."""
        on_start(Exchange(self._receive))
        self._say(self._server.log)
        self._server.has_begun.set()
        if self._server.run_fault is not None:
            raise self._server.run_fault
        if self._server.slow_run is not None:
            self._server.slow_run.wait(LONG)
        if self._server.waits_for_abort:
            assert self._server.aborted.wait(LONG), "the run was not aborted"
        elif "gate\twait" in self._server.settings:
            self._say("@staged\n")
            self._wait_for(b"go", b"abort")
        if self._server.aborted.is_set():
            self._say("@step\t0\trollback\n@result\tcancelled\tit was cancelled\n")
        elif self._server.result.startswith("@result\tdone"):
            self._switch()
        else:
            self._say(self._server.result)

    def _switch(self) -> None:
        before = dict(self._server.files)
        self._place_files()
        if "keep\twait" in self._server.settings:
            self._say("@step\t0\tswitch\n@committed\n")
            if self._wait_for(b"keep", b"undo") == b"undo":
                self._server.files = before
                self._say("@result\tundone\tanother server failed\n")
                return
        self._say(self._server.result)

    def _place_files(self) -> None:
        if "plan/paths" in self._plan:
            self._server.files = {}
        if "plan/files" not in self._plan:
            return
        for line in self._plan["plan/files"].decode().splitlines():
            number, *_, path = line.split("\t")
            self._server.files[path] = self._plan[f"content/{number}"]
        for line in self._plan["plan/removals"].decode().splitlines():
            self._server.files.pop(line.split("\t")[1], None)
        self._server.files[layout.DEPLOYMENT] = self._plan["plan/deployment.json"]

    def _say(self, text: str) -> None:
        if text:
            self._report(text.encode())

    def _receive(self, message: bytes) -> None:
        with self._arrived:
            self._messages.append(message.strip())
            self._arrived.notify_all()
        if message.strip() == b"abort":
            self._server.aborted.set()

    def _wait_for(self, *messages: bytes) -> bytes:
        with self._arrived:
            came = self._arrived.wait_for(lambda: set(messages) & set(self._messages), LONG)
            assert came, f"none of {messages} arrived"
            return next(each for each in self._messages if each in messages)


def _unpacked(sent: bytes) -> dict[str, bytes]:
    """Return what a run was sent, by name; nothing when a run is only followed."""
    *_, archive = sent.split(b"\n", 2)
    if not archive:
        return {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = ((each.name, tar.extractfile(each)) for each in tar.getmembers())
        return {name: reader.read() for name, reader in members if reader is not None}
