"""Fake servers with users, which apply changes like a run."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pretend import PretendServer
from probe_answer import probe_answer

from moorage.desired import layout
from moorage.desired.users import RegistryUser, read_users, user_files
from moorage.errors import CannotConnect
from moorage.servers.transport import Cancel, Completed, Exchange
from templates.load import shell_script

HASH = "$2y$12$" + "a" * 53


def some_user(name: str, access: str = "push", *rules: str, disabled: bool = False) -> RegistryUser:
    """Return a user with a bcrypt hash."""
    return RegistryUser(name, HASH, access, rules, disabled)  # type: ignore[arg-type]


@dataclass
class UsersServer(PretendServer):
    """A fake server with a registry and users.

    Attributes:
        files: Its files, by path.
        refuses: The error that changes of its users fail with; empty when they succeed.
        breaks: Whether the connection is lost during a change.
        holds: An event that a change waits for, if it is to take long.
        seen: The last-seen times in its logs, in the format of ``seen.sh``.
        has_no_logs: Whether its logs cannot be read.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    refuses: str = ""
    breaks: bool = False
    holds: threading.Event | None = None
    seen: bytes = b""
    has_no_logs: bool = False
    _words: list[bytes] = field(default_factory=list)
    _said: threading.Condition = field(default_factory=threading.Condition)

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
        sent = payload if isinstance(payload, bytes) else b"".join(payload)
        if script.endswith(shell_script("probe.sh")):
            paths = sent.decode().splitlines()[3:]
            answer = probe_answer(self.extra_facts, self.files, paths)
            if on_stdout is None:
                return Completed(0, answer, b"")
            on_stdout(answer)
            return Completed(0, b"", b"")
        if script == shell_script("logs.sh"):
            return Completed(0, b"", b"")
        if script == shell_script("seen.sh"):
            if self.has_no_logs:
                raise CannotConnect("It says nothing.", server=self.server)
            return Completed(0, self.seen, b"")
        assert on_stdout is not None
        assert on_start is not None
        self._words.clear()
        on_start(Exchange(self._hear))
        self._change(sent, on_stdout)
        return Completed(0, b"", b"")

    def _change(self, sent: bytes, say: Callable[[bytes], None]) -> None:
        say(b"@step\t0\trecheck\n")
        if self.breaks:
            raise CannotConnect("The connection was lost.", server=self.server)
        if self.holds is not None:
            self.holds.wait(30)
        if self.refuses:
            say(f"@result\tfailed\t{self.refuses}\n".encode())
            return
        say(b"@staged\n")
        if self._wait(b"go", b"abort") == b"abort":
            say(b"@result\tcancelled\tstopped\n")
            return
        before = dict(self.files)
        self._unpack(sent)
        say(b"@step\t0\tswitch\n@committed\n")
        if self._wait(b"keep", b"undo") == b"undo":
            self.files = before
            say(b"@result\tundone\tanother server failed\n")
            return
        say(b"@result\tdone\tok\n")

    def _unpack(self, sent: bytes) -> None:
        _, _, archive = sent.split(b"\n", 2)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:

            def read(name: str) -> bytes:
                reader = tar.extractfile(name)
                assert reader is not None
                return reader.read()

            for line in read("plan/files").decode().splitlines():
                number, *_, path = line.split("\t")
                self.files[path] = read(f"content/{number}")
            for line in read("plan/removals").decode().splitlines():
                del self.files[line.split("\t")[1]]
            self.files[layout.DEPLOYMENT] = read("plan/deployment.json")

    def _hear(self, word: bytes) -> None:
        with self._said:
            self._words.append(word.strip())
            self._said.notify_all()

    def _wait(self, *wanted: bytes) -> bytes:
        with self._said:
            assert self._said.wait_for(lambda: set(wanted) & set(self._words), timeout=30)
            found = next(word for word in self._words if word in wanted)
            self._words.remove(found)
            return found
