"""The SSH transport on real servers: every way in, every way it can fail, and nothing leaking."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from boot_servers import BootServers
from patience import slowness

from lab import LabServer
from lab.keys import ADMIN_PASSWORD, KEY_PASSPHRASE
from lab.leaks import LeakWatch
from lab.process import run_program
from moorage.answers.model import Server
from moorage.answers.resolve import Resolver
from moorage.answers.secrets import FromPrompt, Secret, SecretReference, Typed
from moorage.errors import CannotConnect, SecretName, SudoRefused
from moorage.servers import probe
from moorage.servers.ssh.config import SshConfig
from moorage.servers.ssh.dial import Limits
from moorage.servers.ssh.transport import SshTransport
from moorage.servers.transport import Cancel, HostKey, LoginRequest

WRONG = "not-the-password-5"
CHUNK = os.urandom(1 << 20)


@dataclass
class Operator:
    """Answers what it is told to, and remembers what it was asked.

    Attributes:
        mistakes: How often it gives a wrong answer before the right one.
    """

    accepts: bool = True
    answers: dict[str, str] = field(default_factory=dict)
    keys: list[HostKey] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    mistakes: int = 0

    def accept_host_key(self, key: HostKey) -> bool:
        self.keys.append(key)
        return self.accepts

    def secret(
        self, what: SecretName, server: str | None, rejected: Secret | None = None
    ) -> Secret | None:
        self.questions.append(str(what))
        if len(self.questions) <= self.mistakes:
            return Secret(WRONG)
        for beginning, answer in self.answers.items():
            if str(what).startswith(beginning):
                return Secret(answer)
        return None


def resolve(
    reference: SecretReference | None, what: str, rejected: Secret | None = None
) -> Secret | None:
    assert reference is None or isinstance(reference, Typed)
    return None if reference is None or rejected is not None else reference.secret


def typed(text: str) -> Typed:
    return Typed(Secret(text))


@dataclass
class Workstation:
    """The operator's side: a folder with an ssh configuration and known hosts."""

    folder: Path
    transports: list[SshTransport] = field(default_factory=list)

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def write_config(self, text: str = "") -> None:
        (self.folder / "config").write_text(
            f"{text}\nHost *\n  UserKnownHostsFile {self.known_hosts}\n"
            "  GlobalKnownHostsFile none\n  IdentityAgent none\n"
        )

    def trust(self, *servers: LabServer) -> None:
        lines = [server.known_hosts_line() for server in servers]
        self.known_hosts.write_text("\n".join(lines) + "\n")

    def transport(
        self, operator: Operator | None = None, limits: Limits | None = None, **answers: object
    ) -> SshTransport:
        transport = SshTransport(
            Server.model_validate(answers),
            operator or Operator(accepts=False),
            resolve,
            config=SshConfig.load(self.folder / "config", home=self.folder),
            limits=limits,
        )
        self.transports.append(transport)
        return transport


@pytest.fixture
def workstation(tmp_path: Path) -> Iterator[Workstation]:
    workstation = Workstation(tmp_path)
    workstation.write_config()
    yield workstation
    for transport in workstation.transports:
        transport.close()


@pytest.fixture
def trusted(workstation: Workstation, shared_server: LabServer) -> LabServer:
    """The shared server, its host keys known."""
    workstation.trust(shared_server)
    return shared_server


def connect(
    workstation: Workstation, server: LabServer, user: str = "root", **more: object
) -> SshTransport:
    answers: dict[str, object] = {"host": server.address, "user": user, "key": str(server.key)}
    if user == "admin":
        answers["sudo_password"] = typed(ADMIN_PASSWORD)
    return workstation.transport(**{**answers, **more})  # type: ignore[arg-type]  # answers and the rest


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield CHUNK


# -- ways in --------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["root", "admin", "deploy"])
def test_every_account_runs_scripts_as_root(
    workstation: Workstation, trusted: LabServer, user: str
) -> None:
    completed = connect(workstation, trusted, user).run("id -u; cat; exit 3", payload=b"data\n")
    assert (completed.exit_status, completed.stdout, completed.stderr) == (3, b"0\ndata\n", b"")


@pytest.mark.parametrize("user", ["root", "admin", "deploy"])
def test_scripts_have_the_same_environment_for_every_account(
    workstation: Workstation, trusted: LabServer, user: str
) -> None:
    script = 'umask; pwd; echo "$LC_ALL"; command -v useradd; echo "$PATH"'
    lines = connect(workstation, trusted, user).run(script).stdout.decode().split("\n")
    assert lines[:3] == ["0022", "/", "C.UTF-8"]
    assert "/usr/sbin/useradd" in lines


def test_a_password_sudo_does_not_ask_for_never_reaches_the_script(
    workstation: Workstation, trusted: LabServer
) -> None:
    transport = connect(workstation, trusted, "deploy", sudo_password=typed(ADMIN_PASSWORD))
    assert transport.run("cat", payload=b"data").stdout == b"data"


def test_the_sudo_password_is_prompted_for_once(
    workstation: Workstation, trusted: LabServer
) -> None:
    operator = Operator(answers={"sudo password of admin": ADMIN_PASSWORD})
    transport = connect(workstation, trusted, "admin", sudo_password=None, operator=operator)
    assert [transport.run("id -u").stdout for _ in range(3)] == [b"0\n"] * 3
    assert operator.questions == ["sudo password of admin"]


def test_an_encrypted_key_opens_with_its_passphrase(
    workstation: Workstation, trusted: LabServer
) -> None:
    key = trusted.encrypted_key
    with_reference = connect(
        workstation, trusted, "admin", key=str(key), passphrase=typed(KEY_PASSPHRASE)
    )
    assert with_reference.run("id -u").stdout == b"0\n"


def test_a_wrong_passphrase_differs_from_a_refused_login(
    workstation: Workstation, trusted: LabServer, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "right", "-f", key])
    operator = Operator(answers={"passphrase of": WRONG})
    with pytest.raises(CannotConnect) as caught:
        connect(workstation, trusted, key=str(key), operator=operator).connect()
    assert caught.value.code == "passphrase_wrong"
    assert str(key) in caught.value.message


def test_a_key_the_server_rejects_prompts_for_no_passphrase(
    workstation: Workstation, trusted: LabServer, tmp_path: Path
) -> None:
    (tmp_path / ".ssh").mkdir()
    rejected = tmp_path / ".ssh/id_ed25519"
    run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", rejected])
    run_program(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", tmp_path / ".ssh/id_rsa"])
    operator = Operator()
    with pytest.raises(CannotConnect) as caught:
        workstation.transport(operator, host=trusted.address, user="root").connect()
    assert caught.value.code == "login_refused"
    assert not [what for what in operator.questions if "passphrase" in what]


class Chooser(Operator):
    """Is told why a login is wanted, and gives a password or a key file."""

    def __init__(self, answer: Secret | Path | None) -> None:
        super().__init__()
        self.answer = answer
        self.wanted: list[LoginRequest] = []

    def login(self, wanted: LoginRequest) -> Secret | Path | None:
        self.wanted.append(wanted)
        return self.answer


def test_the_login_prompt_says_why_and_accepts_a_key_file(
    workstation: Workstation, trusted: LabServer, tmp_path: Path
) -> None:
    (tmp_path / ".ssh").mkdir()
    rejected = tmp_path / ".ssh/id_ed25519"
    run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", rejected])
    operator = Chooser(trusted.key)
    transport = workstation.transport(operator, host=trusted.address, user="root")
    assert transport.run("id -u").stdout == b"0\n"
    (wanted,) = operator.wanted
    assert wanted.what == SecretName("password", "root")
    assert wanted.reason == f"No key was accepted for root. Tried: {rejected}."
    assert "publickey" in wanted.methods

    rejected.unlink()
    operator = Chooser(Secret(ADMIN_PASSWORD))
    answers = {"host": trusted.address, "user": "admin", "sudo_password": typed(ADMIN_PASSWORD)}
    assert workstation.transport(operator, **answers).run("id -u").stdout == b"0\n"  # type: ignore[arg-type]
    assert "none of id_ed25519" in operator.wanted[0].reason


def test_a_refused_key_is_listed_among_the_attempts(
    workstation: Workstation, trusted: LabServer, tmp_path: Path
) -> None:
    run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"])
    operator = Chooser(tmp_path / "other")
    with pytest.raises(CannotConnect) as caught:
        workstation.transport(operator, host=trusted.address, user="root").connect()
    assert caught.value.code == "login_refused"
    assert str(tmp_path / "other") in caught.value.message
    assert len(operator.wanted) == 1


def test_the_agent_signs_for_its_key(
    workstation: Workstation, trusted: LabServer, tmp_path: Path, agent: Path
) -> None:
    workstation.write_config(f"IdentityAgent {agent}")
    transport = workstation.transport(host=trusted.address, user="deploy")
    assert transport.run("id -u").stdout == b"0\n"
    by_public_half = tmp_path / "held.pub"
    by_public_half.write_text(Path(f"{trusted.key}.pub").read_text())
    named = workstation.transport(host=trusted.address, user="deploy", key=str(by_public_half))
    assert named.run("id -u").stdout == b"0\n"


@pytest.fixture
def agent(trusted: LabServer, tmp_path: Path) -> Iterator[Path]:
    """An agent with a key nobody knows and the lab's key."""
    address = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(address)], stdout=subprocess.DEVNULL)
    try:
        while not address.exists():
            time.sleep(0.01)
        run_program(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "other"])
        for key in (tmp_path / "other", trusted.key):
            subprocess.run(
                ["ssh-add", "-q", str(key)],
                env={**os.environ, "SSH_AUTH_SOCK": str(address)},
                check=True,
            )
        yield address
    finally:
        process.terminate()
        process.wait()


def test_a_login_password_works_alone(workstation: Workstation, trusted: LabServer) -> None:
    password = typed(ADMIN_PASSWORD)
    transport = connect(workstation, trusted, "admin", key=None, password=password)
    assert transport.run("id -u").stdout == b"0\n"


def test_a_password_is_prompted_for_without_a_key(
    workstation: Workstation, trusted: LabServer
) -> None:
    operator = Operator(answers={"password of admin": ADMIN_PASSWORD})
    transport = connect(workstation, trusted, "admin", key=None, operator=operator)
    assert transport.run("id -u").stdout == b"0\n"
    assert operator.questions == ["password of admin"]


@pytest.mark.parametrize("mistakes", [1, 2, 3])
def test_a_wrong_password_is_prompted_for_again(
    workstation: Workstation, trusted: LabServer, mistakes: int
) -> None:
    operator = Operator(answers={"password of admin": ADMIN_PASSWORD}, mistakes=mistakes)
    transport = connect(workstation, trusted, "admin", key=None, operator=operator)
    if mistakes < 3:
        assert transport.run("id -u").stdout == b"0\n"
    else:
        with pytest.raises(CannotConnect, match="tried: a password"):
            transport.connect()
    assert operator.questions == ["password of admin"] * min(mistakes + 1, 3)


@pytest.mark.parametrize("mistakes", [1, 2, 3])
def test_a_wrong_sudo_password_is_prompted_for_again(
    workstation: Workstation, trusted: LabServer, mistakes: int
) -> None:
    operator = Operator(answers={"sudo password of admin": ADMIN_PASSWORD}, mistakes=mistakes)
    transport = connect(workstation, trusted, "admin", sudo_password=None, operator=operator)
    if mistakes < 3:
        assert transport.run("id -u").stdout == b"0\n"
    else:
        with pytest.raises(SudoRefused, match="does not accept the password"):
            transport.run("id -u")
    assert operator.questions == ["sudo password of admin"] * min(mistakes + 1, 3)


@pytest.mark.parametrize("mistakes", [1, 2, 3])
@pytest.mark.parametrize("field", ["password", "sudo_password"])
def test_a_password_that_the_answers_declare_as_a_prompt_is_prompted_for_again(
    workstation: Workstation, trusted: LabServer, field: str, mistakes: int
) -> None:
    operator = Operator(answers={field: ADMIN_PASSWORD}, mistakes=mistakes)
    resolver = Resolver(operator.secret)

    def resolve_declared(
        reference: SecretReference | None, what: str, rejected: Secret | None = None
    ) -> Secret | None:
        if reference is None:
            return None
        return resolver.resolve_unless(rejected, reference, what, server=trusted.address)

    login: dict[str, object] = {"sudo_password": typed(ADMIN_PASSWORD)}
    if field == "password":
        login["key"] = None
    else:
        login["key"] = str(trusted.key)
    login[field] = FromPrompt(True)
    server = Server.model_validate({"host": trusted.address, "user": "admin", **login})
    transport = SshTransport(
        server,
        operator,
        resolve_declared,
        config=SshConfig.load(workstation.folder / "config", home=workstation.folder),
    )
    workstation.transports.append(transport)
    if mistakes < 3:
        assert transport.run("id -u").stdout == b"0\n"
    else:
        with pytest.raises(CannotConnect):
            transport.run("id -u")
    assert operator.questions == [field] * min(mistakes + 1, 3)


def test_a_refused_login_lists_account_and_methods(
    workstation: Workstation, trusted: LabServer
) -> None:
    stranger = workstation.folder / "stranger"
    run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger])
    with pytest.raises(CannotConnect) as caught:
        connect(workstation, trusted, "admin", key=str(stranger), password=typed(WRONG)).connect()
    assert caught.value.code == "login_refused"
    assert "admin" in caught.value.message
    assert str(stranger) in caught.value.message
    assert "a password" in caught.value.message
    assert WRONG not in str(caught.value)


def test_a_server_behind_two_others_is_reached_through_them(
    workstation: Workstation, servers: BootServers, trusted: LabServer
) -> None:
    first, second = servers(names=["first", "second"])
    workstation.trust(trusted, first, second)
    workstation.write_config(
        f"Host first\n  HostName {first.address}\n  User admin\n  IdentityFile {first.key}\n"
        f"Host second\n  HostName {second.address}\n  User deploy\n  IdentityFile {first.key}\n"
        "  ProxyJump first\n"
        f"Host last\n  HostName {trusted.address}\n  User root\n  IdentityFile {first.key}\n"
        "  ProxyJump second\n"
    )
    completed = workstation.transport(host="last").run("hostname; echo $SSH_CONNECTION")
    assert completed.stdout.decode().split()[:2] == ["shared", second.address]
    by_answers = connect(workstation, trusted, jump=f"admin@{first.address},second")
    assert by_answers.run("echo $SSH_CONNECTION").stdout.decode().split()[0] == second.address


def test_the_key_of_a_jump_host_is_checked_too(
    workstation: Workstation, servers: BootServers, trusted: LabServer
) -> None:
    (jump,) = servers(names=["jump"])
    operator = Operator(accepts=False)
    transport = connect(workstation, trusted, jump=f"root@{jump.address}", operator=operator)
    with pytest.raises(CannotConnect) as caught:
        transport.connect()
    assert caught.value.code == "host_key_unknown"
    assert [key.address for key in operator.keys] == [jump.address]


def reconfigure(server: LabServer, *lines: str) -> None:
    """Put lines in front of a server's sshd configuration."""
    server.write_file("/etc/ssh/sshd_config.d/00-test.conf", "\n".join(lines) + "\n")
    server.run("systemctl reload ssh")
    time.sleep(0.3)


def test_keyboard_interactive_accepts_the_password(
    workstation: Workstation, server: LabServer
) -> None:
    workstation.trust(server)
    reconfigure(server, "PasswordAuthentication no", "KbdInteractiveAuthentication yes")
    password = typed(ADMIN_PASSWORD)
    transport = connect(workstation, server, "admin", key=None, password=password)
    assert transport.run("id -u").stdout == b"0\n"


def test_a_server_can_require_a_key_and_a_password(
    workstation: Workstation, server: LabServer
) -> None:
    workstation.trust(server)
    reconfigure(server, "AuthenticationMethods publickey,password")
    transport = connect(workstation, server, "admin", password=typed(ADMIN_PASSWORD))
    assert transport.run("id -u").stdout == b"0\n"
    with pytest.raises(CannotConnect) as caught:
        connect(workstation, server, "admin", password=typed(WRONG)).connect()
    assert caught.value.code == "login_refused"


def test_an_agent_full_of_keys_leaves_an_attempt_for_the_password(
    workstation: Workstation, server: LabServer, agent: Path, tmp_path: Path
) -> None:
    workstation.trust(server)
    server.run("rm ~admin/.ssh/authorized_keys")
    for number in range(6):
        key = tmp_path / f"extra{number}"
        run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        environment = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
        subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True)
    workstation.write_config(f"IdentityAgent {agent}")
    operator = Operator(answers={"password of admin": ADMIN_PASSWORD})
    transport = connect(workstation, server, "admin", key=None, operator=operator)
    assert transport.run("id -u").stdout == b"0\n"
    with pytest.raises(CannotConnect) as caught:
        connect(workstation, server, "admin", key=None).connect()
    assert "3 more keys were not tried" in caught.value.advice


def test_an_expired_password_has_its_own_error(workstation: Workstation, server: LabServer) -> None:
    workstation.trust(server)
    server.run("chage -d 0 admin")
    for more in ({}, {"key": None, "password": typed(ADMIN_PASSWORD)}):
        with pytest.raises(CannotConnect) as caught:
            connect(workstation, server, "admin", **more).run("id")
        assert caught.value.code == "login_refused"
        assert "expired" in caught.value.message


def test_a_login_timed_out_by_a_slow_operator_is_retried(
    workstation: Workstation, server: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.servers.ssh.transport._LOGIN_GRACE", 2.0)
    reconfigure(server, "LoginGraceTime 2")

    class Slow(Operator):
        def accept_host_key(self, key: HostKey) -> bool:
            time.sleep(3)
            return super().accept_host_key(key)

        def secret(
            self, what: SecretName, server: str | None, rejected: Secret | None = None
        ) -> Secret | None:
            time.sleep(3)
            return super().secret(what, server, rejected)

    operator = Slow(answers={"password of admin": ADMIN_PASSWORD})
    transport = connect(workstation, server, "admin", key=None, operator=operator)
    assert transport.run("id -u").stdout == b"0\n"
    assert len(operator.keys) == 1
    assert operator.questions == ["password of admin"]


def test_servers_waiting_for_another_servers_prompt_connect_as_well(
    workstation: Workstation, servers: BootServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.servers.ssh.transport._LOGIN_GRACE", 2.0)
    three = servers(3)
    for server in three:
        reconfigure(server, "LoginGraceTime 3")

    class Slow(Operator):
        def accept_host_key(self, key: HostKey) -> bool:
            time.sleep(2)
            return super().accept_host_key(key)

        def secret(
            self, what: SecretName, server: str | None, rejected: Secret | None = None
        ) -> Secret | None:
            time.sleep(4)
            return super().secret(what, server, rejected)

    operator = Slow(answers={"passphrase of": KEY_PASSPHRASE})
    transports = [
        connect(workstation, server, "admin", key=str(server.encrypted_key), operator=operator)
        for server in three
    ]
    monkeypatch.setattr("moorage.servers.ssh.keys._unlocked", {})
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda transport: transport.run("id -u").stdout, transports))
    assert ended == [b"0\n"] * 3
    assert len(operator.keys) == 3
    assert len(operator.questions) == 1


def test_a_proxy_command_carries_the_connection(
    workstation: Workstation, servers: BootServers, trusted: LabServer
) -> None:
    (jump,) = servers(names=["jump"])
    command = " ".join([*jump.ssh_command("root")[:-1], "-W", "%h:%p", f"root@{jump.address}"])
    workstation.write_config(f"Host last\n  HostName {trusted.address}\n  ProxyCommand {command}\n")
    transport = connect(workstation, trusted, host="last")
    assert transport.run("echo $SSH_CONNECTION").stdout.decode().split()[0] == jump.address
    workstation.write_config(
        f"Host last\n  HostName {trusted.address}\n  ProxyCommand echo oops >&2\n"
    )
    with pytest.raises(CannotConnect, match="The ProxyCommand printed: oops"):
        connect(workstation, trusted, host="last").connect()


def test_certificates_authenticate_both_sides(
    workstation: Workstation, server: LabServer, tmp_path: Path
) -> None:
    authority, user = tmp_path / "authority", tmp_path / "user"
    for key in (authority, user):
        run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
    host = tmp_path / "host.pub"
    host.write_text(server.read_file("/etc/ssh/ssh_host_ed25519_key.pub"))
    sign = ["ssh-keygen", "-q", "-s", authority, "-I", "test"]
    run_program([*sign, "-h", "-n", server.address, "-V", "+1d", host])
    run_program([*sign, "-n", "deploy", tmp_path / "user.pub"])
    public = (tmp_path / "authority.pub").read_text()
    server.write_file("/etc/ssh/host-cert.pub", (tmp_path / "host-cert.pub").read_text())
    server.write_file("/etc/ssh/authority.pub", public)
    reconfigure(
        server, "HostCertificate /etc/ssh/host-cert.pub", "TrustedUserCAKeys /etc/ssh/authority.pub"
    )
    workstation.known_hosts.write_text(f"@cert-authority * {public}")
    assert connect(workstation, server, "deploy", key=str(user)).run("id -u").stdout == b"0\n"
    (tmp_path / "user-cert.pub").rename(tmp_path / "elsewhere.pub")
    workstation.write_config(f"IdentityFile {user}\nCertificateFile {tmp_path}/elsewhere.pub\n")
    for answers in ({}, {"key": str(user)}):
        assert connect(workstation, server, "deploy", **answers).run("id -u").stdout == b"0\n"
    workstation.known_hosts.write_text(f"@cert-authority * {public}@revoked * {public}")
    with pytest.raises(CannotConnect) as caught:
        connect(workstation, server, "deploy", key=str(user)).connect()
    assert caught.value.code == "host_key_unknown"


def test_the_next_debian_works_the_same(workstation: Workstation, servers: BootServers) -> None:
    (server,) = servers(names=["next"], suite="trixie")
    workstation.trust(server)
    for user in ("root", "admin", "deploy"):
        assert connect(workstation, server, user).run("id -u; cat", payload=b"x").stdout == b"0\nx"
    with pytest.raises(SudoRefused) as caught:
        connect(workstation, server, "admin", sudo_password=typed(WRONG)).run("id")
    assert caught.value.code == "sudo_password_wrong"
    time.sleep(1)
    assert failures(server) == 1


# -- who the server is ----------------------------------------------------------------------------


def test_an_accepted_host_key_is_saved_and_not_asked_about_again(
    workstation: Workstation, shared_server: LabServer
) -> None:
    operator = Operator()
    for _ in range(2):
        connect(workstation, shared_server, operator=operator).connect()
    (key,) = operator.keys
    assert key.fingerprint == shared_server.host_key_fingerprint()
    assert workstation.known_hosts.stat().st_mode & 0o777 == 0o600
    strict = shared_server.ssh_command("root")
    strict[strict.index("-F") + 1] = str(workstation.folder / "config")
    assert run_program([*strict, "true"], check=False).returncode == 0


def test_a_rejected_host_key_ends_the_attempt(
    workstation: Workstation, shared_server: LabServer
) -> None:
    with pytest.raises(CannotConnect) as caught:
        connect(workstation, shared_server, operator=Operator(accepts=False)).connect()
    assert caught.value.code == "host_key_unknown"
    assert shared_server.host_key_fingerprint() in caught.value.message
    assert not workstation.known_hosts.exists()


def test_a_changed_host_key_is_rejected_and_both_are_shown(
    workstation: Workstation, trusted: LabServer, tmp_path: Path
) -> None:
    run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"])
    kind, blob = (tmp_path / "other.pub").read_text().split()[:2]
    workstation.known_hosts.write_text(f"# mine\n{trusted.address} {kind} {blob}\n")
    old = run_program(["ssh-keygen", "-l", "-f", tmp_path / "other"]).stdout.split()[1]
    operator = Operator()
    with pytest.raises(CannotConnect) as caught:
        connect(workstation, trusted, operator=operator).connect()
    assert caught.value.code == "host_key_changed"
    for part in (old, trusted.host_key_fingerprint(), f"{workstation.known_hosts}:2"):
        assert part in caught.value.message
    assert "ssh-keygen -R" in caught.value.advice
    assert operator.keys == []


def test_a_known_hosts_key_type_is_preferred(workstation: Workstation, trusted: LabServer) -> None:
    ecdsa = [line for line in trusted.known_hosts_line().split("\n") if "ecdsa" in line]
    assert ecdsa
    workstation.known_hosts.write_text("\n".join(ecdsa) + "\n")
    connect(workstation, trusted).connect()


# -- sudo -----------------------------------------------------------------------------------------


def failures(server: LabServer) -> int:
    """How often somebody failed to prove who they are to sudo, by the server's journal."""
    server.run("journalctl --sync")
    journal = server.run("journalctl -t sudo -o cat --no-pager", check=False).stdout
    return journal.count("authentication failure;")


def test_a_wrong_password_for_sudo_counts_as_one_failure(
    workstation: Workstation, trusted: LabServer
) -> None:
    before = failures(trusted)
    with pytest.raises(SudoRefused) as caught:
        connect(workstation, trusted, "admin", sudo_password=typed(WRONG)).run("id")
    assert caught.value.code == "sudo_password_wrong"
    time.sleep(1)
    assert failures(trusted) - before == 1
    last = trusted.run("journalctl -t sudo -o cat --no-pager").stdout.strip().split("\n")[-1]
    assert "1 incorrect password attempt" in last


def test_sudo_without_any_password_is_not_tried(
    workstation: Workstation, trusted: LabServer
) -> None:
    before = failures(trusted)
    with pytest.raises(SudoRefused) as caught:
        connect(workstation, trusted, "admin", sudo_password=None).run("id")
    assert caught.value.code == "sudo_password_missing"
    time.sleep(1)
    assert failures(trusted) == before


def test_sudo_failures_have_distinct_errors(workstation: Workstation, server: LabServer) -> None:
    workstation.trust(server)
    server.run("gpasswd -d admin sudo || :; rm -f /etc/sudoers.d/admin")
    with pytest.raises(SudoRefused) as not_allowed:
        connect(workstation, server, "admin").run("id")
    assert not_allowed.value.code == "sudo_not_allowed"
    server.run("mv /usr/bin/sudo /usr/bin/sudo.away")
    with pytest.raises(SudoRefused) as missing:
        connect(workstation, server, "deploy").run("id")
    assert missing.value.code == "sudo_missing"


def test_an_account_without_a_shell_has_its_own_error(
    workstation: Workstation, server: LabServer
) -> None:
    workstation.trust(server)
    server.run("usermod -s /usr/sbin/nologin root")
    with pytest.raises(CannotConnect) as caught:
        connect(workstation, server).run("id")
    assert caught.value.code == "no_shell"
    assert "not available" in caught.value.message


def test_a_chatty_login_shell_is_not_mistaken_for_the_script(
    workstation: Workstation, server: LabServer
) -> None:
    workstation.trust(server)
    server.run("usermod -s /bin/bash deploy")
    for name in (".bashrc", ".bash_profile"):
        server.run(["sh", "-c", f"printf 'echo Welcome\\necho Oops >&2\\n' > ~deploy/{name}"])
    completed = connect(workstation, server, "deploy").run("echo out; echo err >&2")
    assert (completed.stdout, completed.stderr) == (b"out\n", b"err\n")


def test_a_slow_login_shell_times_out(workstation: Workstation, trusted: LabServer) -> None:
    trusted.run(["useradd", "-m", "-s", "/bin/bash", "drip"])
    trusted.run(
        "mkdir ~drip/.ssh; cp ~deploy/.ssh/authorized_keys ~drip/.ssh; chown -R drip ~drip; "
        "echo 'while :; do echo .; sleep 0.2; done' > ~drip/.bashrc"
    )
    transport = workstation.transport(
        limits=Limits(start=3), host=trusted.address, user="drip", key=str(trusted.key)
    )
    error, seconds = failing(lambda: transport.run("id"))
    assert error.code == "too_slow"
    assert "has not run a command after 3 seconds" in error.message
    assert seconds < 20 * slowness()


def test_a_probe_that_drips_times_out(
    workstation: Workstation, trusted: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More than a pipe's buffer at a time, so that it arrives as it is printed.
    drips = "#!/bin/sh\nwhile :; do head -c 9000 /dev/zero | tr '\\0' x; echo; sleep 0.2; done\n"
    trusted.write_file("/usr/local/sbin/ss", drips, mode=0o755)
    monkeypatch.setattr(probe, "_DEADLINE", 4)
    try:
        error, seconds = failing(lambda: probe.probe(connect(workstation, trusted), []))
    finally:
        trusted.run("rm /usr/local/sbin/ss")
    assert error.code == "too_slow"
    assert seconds < 20 * slowness()


# -- much and slow --------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["root", "admin"])
def test_a_large_payload_arrives_whole(
    workstation: Workstation, trusted: LabServer, user: str
) -> None:
    expected = hashlib.sha256()
    for chunk in chunks(100):
        expected.update(chunk)
    completed = connect(workstation, trusted, user).run(
        "sha256sum", payload=chunks(100), timeout=60
    )
    assert completed.stdout.decode().split()[0] == expected.hexdigest()


def test_output_is_read_while_a_payload_is_sent(
    workstation: Workstation, trusted: LabServer
) -> None:
    received = [0]

    def count(data: bytes) -> None:
        received[0] += len(data)

    connect(workstation, trusted).run("cat", payload=chunks(50), on_stdout=count, timeout=60)
    assert received[0] == 50 << 20


def test_both_outputs_can_be_large(workstation: Workstation, trusted: LabServer) -> None:
    script = "head -c 3000000 /dev/zero >&2 & head -c 3000000 /dev/zero; wait"
    completed = connect(workstation, trusted).run(script, timeout=60)
    assert (len(completed.stdout), len(completed.stderr)) == (3000000, 3000000)


def test_a_script_can_end_without_reading_its_payload(
    workstation: Workstation, trusted: LabServer
) -> None:
    assert connect(workstation, trusted).run("exit 4", payload=chunks(20)).exit_status == 4


def test_a_background_process_does_not_hold_the_channel(
    workstation: Workstation, trusted: LabServer
) -> None:
    started = time.monotonic()
    completed = connect(workstation, trusted).run("sleep 60 & echo done")
    assert completed.stdout == b"done\n"
    assert time.monotonic() - started < 10 * slowness()


def test_more_can_be_sent_after_the_payload(workstation: Workstation, trusted: LabServer) -> None:
    def go_on(exchange: object) -> None:
        exchange.send(b"second\n")  # type: ignore[attr-defined]
        exchange.finish()  # type: ignore[attr-defined]

    completed = connect(workstation, trusted, "admin").run(
        "cat", payload=b"first\n", on_start=go_on
    )
    assert completed.stdout == b"first\nsecond\n"


def test_a_distant_server_costs_few_round_trips(
    workstation: Workstation, trusted: LabServer
) -> None:
    host, port = trusted.start_proxy(200)
    workstation.known_hosts.write_text(trusted.known_hosts_line(host, port) + "\n")
    transport = connect(workstation, trusted, host=host, port=port)
    started = time.monotonic()
    assert transport.run("cat", payload=b"x" * 10000).stdout == b"x" * 10000
    # TCP, two for the key exchange, login, channel, script; one more to spare, and the machine's.
    assert time.monotonic() - started < 0.2 * 7 + 1.0 * slowness()


# -- when it breaks -------------------------------------------------------------------------------


def failing(act: Callable[[], object]) -> tuple[CannotConnect, float]:
    started = time.monotonic()
    with pytest.raises(CannotConnect) as caught:
        act()
    return caught.value, time.monotonic() - started


QUICK = Limits(connect=2, handshake=4, channel=4, keepalive=1, dead=4)


def test_a_cut_cable_is_noticed_while_a_script_runs(
    workstation: Workstation, server: LabServer
) -> None:
    workstation.trust(server)
    transport = connect(workstation, server, limits=QUICK)
    transport.connect()
    threading.Timer(1, server.cut).start()
    error, seconds = failing(lambda: transport.run("sleep 30"))
    assert error.code == "connection_lost"
    assert seconds < 8 * slowness()
    server.reconnect()
    assert transport.run("echo back").stdout == b"back\n"


def test_a_cut_cable_is_noticed_while_a_payload_is_sent(
    workstation: Workstation, server: LabServer
) -> None:
    workstation.trust(server)
    transport = connect(workstation, server, limits=QUICK)
    transport.connect()
    threading.Timer(0.3, server.cut).start()
    error, seconds = failing(lambda: transport.run("cat >/dev/null", payload=chunks(100_000)))
    assert error.code == "connection_lost"
    assert seconds < 9 * slowness()


def test_a_cut_cable_behind_a_jump_host_is_noticed(
    workstation: Workstation, server: LabServer, trusted: LabServer
) -> None:
    workstation.trust(server, trusted)
    transport = connect(workstation, server, jump=f"root@{trusted.address}", limits=QUICK)
    transport.connect()
    threading.Timer(1, server.cut).start()
    error, seconds = failing(lambda: transport.run("sleep 30"))
    assert error.code == "connection_lost"
    assert seconds < 8 * slowness()


def test_a_crash_is_noticed(workstation: Workstation, server: LabServer) -> None:
    workstation.trust(server)
    transport = connect(workstation, server, limits=QUICK)
    transport.connect()
    threading.Timer(1, server.crash).start()
    error, seconds = failing(lambda: transport.run("sleep 30"))
    assert error.code == "connection_lost"
    assert seconds < 8 * slowness()


def test_each_way_to_be_unreachable_has_its_own_error(
    workstation: Workstation, server: LabServer, trusted: LabServer
) -> None:
    def message(**answers: object) -> str:
        error, _ = failing(workstation.transport(limits=QUICK, **answers).connect)
        assert error.code == "unreachable"
        assert error.server == answers["host"]
        return error.message

    assert "refuses connections" in message(host=trusted.address, port=2)
    assert "does not resolve" in message(host="nowhere.invalid")
    jump = {"jump": f"root@{trusted.address}", "key": str(trusted.key)}
    assert "cannot reach" in message(host=trusted.address, port=2, **jump)
    server.run("systemctl stop ssh.socket ssh.service; nohup sleep 60 >/dev/null 2>&1 &")
    assert "refuses connections" in message(host=server.address)
    server.cut()
    # What a missing neighbour looks like depends on who notices first.
    assert message(host=server.address).startswith(("The server does not answer", "There is no"))


def test_a_port_without_ssh_has_its_own_error(workstation: Workstation, server: LabServer) -> None:
    script = "import socket\ns = socket.create_server(('', 7000))\n"
    mute = script + "c, _ = s.accept()\nimport time; time.sleep(60)\n"
    web = (
        script.replace("7000", "7001") + "c, _ = s.accept()\nc.sendall(b'HTTP/1.1 400\\r\\n' * 9)\n"
    )
    processes = [
        subprocess.Popen(server.enter_command(["python3", "-c", code + "c.close()\n"]))
        for code in (mute, web)
    ]
    server.run("until ss -ltn | grep -q :7000 && ss -ltn | grep -q :7001; do sleep 0.1; done")
    error, seconds = failing(
        workstation.transport(host=server.address, port=7000, limits=QUICK).connect
    )
    assert "sends nothing" in error.message
    assert seconds < 8 * slowness()
    error, _ = failing(workstation.transport(host=server.address, port=7001, limits=QUICK).connect)
    assert "not an SSH server" in error.message
    for process in processes:
        process.kill()
        process.wait()


def test_a_script_without_output_times_out(workstation: Workstation, trusted: LabServer) -> None:
    error, seconds = failing(lambda: connect(workstation, trusted).run("sleep 30", timeout=1))
    assert error.code == "silent"
    assert seconds < 4 * slowness()


@pytest.mark.parametrize("user", ["root", "admin"])
def test_cancelling_returns_at_once(
    workstation: Workstation, trusted: LabServer, user: str
) -> None:
    transport = connect(workstation, trusted, user)
    transport.connect()
    cancel = Cancel()
    threading.Timer(0.5, cancel.set).start()
    error, seconds = failing(lambda: transport.run("sleep 30", cancel=cancel))
    assert error.code == "cancelled"
    assert seconds < 1.5 * slowness()


def test_closing_ends_a_running_script_and_the_next_one_connects_again(
    workstation: Workstation, trusted: LabServer
) -> None:
    transport = connect(workstation, trusted)
    transport.connect()
    threading.Timer(0.5, transport.close).start()
    error, seconds = failing(lambda: transport.run("sleep 30", payload=chunks(20)))
    assert error.code == "connection_closed"
    assert seconds < 1.5 * slowness()
    assert transport.run("echo again").stdout == b"again\n"
    transport.close()
    transport.close()


def test_closing_ends_an_attempt_to_connect(workstation: Workstation, server: LabServer) -> None:
    workstation.trust(server)
    server.cut()
    transport = connect(workstation, server)
    threading.Timer(0.5, transport.close).start()
    error, seconds = failing(transport.connect)
    assert error.code in {"connection_closed", "unreachable"}
    assert seconds < 5 * slowness()


# -- secrets --------------------------------------------------------------------------------------


def test_no_secret_is_visible_or_left_on_either_side(
    workstation: Workstation, server: LabServer, leak_check: LeakWatch
) -> None:
    script_mark, value_mark = "a-marked-script-1", "a-marked-value-2"
    leak_check.add(ADMIN_PASSWORD, label="the password of admin")
    leak_check.add(script_mark, label="the script")
    leak_check.add(value_mark, label="the payload")
    leak_check.watch_path(workstation.folder)
    workstation.trust(server)
    password = typed(ADMIN_PASSWORD)
    transport = connect(workstation, server, "admin", key=None, password=password)
    # Long enough for the watch to look at the processes of both sides several times.
    script = f"read -r value; : {script_mark}; ps axww -o args; sleep 2"
    completed = transport.run(script, payload=value_mark.encode() + b"\n")
    assert b"moorage:ready" in completed.stdout  # ps did show this script's own shell
    leak_check.watch_output("the process list", completed.stdout)
