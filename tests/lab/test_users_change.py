"""Users changed on all servers as one act, and what happens when a server is lost over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from boot_servers import BootServers
from operator_at_work import DOMAIN, Operator
from test_several_servers import s3_storage

from lab import LabServer
from lab.services import ObjectStore
from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.events import Committed, Event, Staged
from moorage.deploy.run.report import ApplyReport
from moorage.deploy.users.change import UsersRead, change_users, plan_change, read_users
from moorage.desired.users import RegistryUser
from moorage.errors import ExitCode, ServersFailed
from moorage.users import edits
from moorage.users.passwords import generate_password, hash_password

pytestmark = pytest.mark.ready

Edit = Callable[[tuple[RegistryUser, ...]], tuple[RegistryUser, ...]]


@dataclass
class Harbour:
    """A deployment on several servers and somebody who manages its users."""

    operator: Operator
    answers: Answers
    machines: list[LabServer]

    def change(
        self,
        edit: Edit,
        *,
        without_unreached: bool = False,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> ApplyReport:
        """Read the users, change them and return how it went."""
        with self.operator.open(self.answers, on_event) as deployment:
            read = read_users(deployment)
            plan = plan_change(read, edit(read.users), without_unreached=without_unreached)
            for user in plan.users:
                self.operator.leaks.add(
                    user.hash, ("/etc/nginx/moorage/htpasswd*",), label=f"the hash of {user.name}"
                )
            report = change_users(deployment, plan)
        self.operator.leaks.watch_output("report", repr(report) + repr(plan))
        return report

    def read(self) -> UsersRead:
        """Read the users of all servers that can be reached."""
        with self.operator.open(self.answers) as deployment:
            return read_users(deployment)

    def new(self, name: str, access: str = "push") -> Edit:
        """Return the edit that adds a user with a new password."""
        value = self.password(name)
        return lambda users: edits.add(users, RegistryUser(name, value, access))  # type: ignore[arg-type]

    def password(self, name: str) -> str:
        """Make a password for somebody; return its hash."""
        password = generate_password()
        self.operator.passwords[name] = password.reveal()
        self.operator.leaks.add(password.reveal(), label=f"the password of {name}")
        return hash_password(password)

    def statuses(self, user: str, password: str | None = None) -> list[int]:
        """Return what a login is answered with on each server."""
        return [
            self.operator.status(machine, user=user, password=password)
            for machine in self.machines
            if machine.is_on()
        ]


@pytest.fixture
def harbour(
    operator: Operator, servers: BootServers, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> Harbour:
    """Two servers with one user."""
    machines = servers(2)
    answers = operator.answers(machines, storage=s3_storage(s3, monkeypatch))
    operator.install(answers)
    return Harbour(operator, answers, machines)


def test_users_are_added_and_removed_on_all_servers_at_once(harbour: Harbour) -> None:
    nginx = "systemctl show -p MainPID,ActiveEnterTimestamp nginx 'moorage-registry@*'"
    before = [machine.run(nginx).stdout for machine in harbour.machines]
    assert harbour.change(harbour.new("ana")).is_good
    assert harbour.statuses("ana") == [200, 200]
    old = harbour.operator.passwords["ana"]

    value = harbour.password("ana")
    assert harbour.change(lambda users: edits.set_password(users, "ana", value)).is_good
    assert harbour.statuses("ana", old) == [401, 401]
    assert harbour.statuses("ana") == [200, 200]

    assert harbour.change(lambda users: edits.set_disabled(users, ["ana"], True)).is_good
    assert harbour.statuses("ana") == [401, 401]
    assert harbour.change(lambda users: edits.set_disabled(users, ["ana"], False)).is_good
    assert harbour.statuses("ana") == [200, 200]

    assert harbour.change(lambda users: edits.set_access(users, "ana", "pull", ("a/*",))).is_good
    assert harbour.operator.status(harbour.machines[0], "/v2/b/c/tags/list", user="ana") == 403

    assert harbour.change(lambda users: edits.remove(users, ["ana"])).is_good
    assert harbour.statuses("ana") == [401, 401]
    assert [machine.run(nginx).stdout for machine in harbour.machines] == before
    assert harbour.operator.apply(harbour.answers).plan.summary == "2 servers: nothing to change"


def test_a_server_that_is_lost_or_refuses_stops_or_undoes_the_change(harbour: Harbour) -> None:
    _one_nginx_rejects(harbour)
    _unreachable(harbour)
    _unplugged_after_staging(harbour)
    _unplugged_after_committing(harbour)


def _unreachable(harbour: Harbour) -> None:
    """It stops the change or becomes outdated."""
    lost = harbour.machines[1]
    lost.cut()
    with pytest.raises(ServersFailed, match=lost.address):
        harbour.change(harbour.new("ana"))
    assert harbour.operator.status(harbour.machines[0], user="ana") == 401

    assert harbour.change(harbour.new("bob"), without_unreached=True).is_good
    assert harbour.operator.status(harbour.machines[0], user="bob") == 200
    record = harbour.machines[0].read_file("/etc/moorage/deployment.json")
    assert f'"missed": [\n      "{lost.address}"' in record

    lost.reconnect()
    lost.wait_until_up()
    read = harbour.read()
    assert read.statuses == {
        harbour.machines[0].address: "up_to_date",
        lost.address: "outdated",
    }
    assert harbour.operator.status(lost, user="bob") == 401
    assert harbour.change(harbour.new("eve")).is_good
    assert harbour.statuses("bob") == [200, 200]
    assert set(harbour.read().statuses.values()) == {"up_to_date"}


def _unplugged_after_staging(harbour: Harbour) -> None:
    """The change is undone."""
    first, lost = harbour.machines

    def unplug(event: Event) -> None:
        if isinstance(event, Staged) and event.server == lost.address and lost.is_on():
            lost.crash()

    report = harbour.change(harbour.new("fay"), on_event=unplug)

    assert report.exit_code == ExitCode.FAILED
    assert {each.server: each.status for each in report.servers}[lost.address] == "lost"
    assert harbour.statuses("fay") == [401]
    assert harbour.statuses("ci") == [200]
    lost.start()
    lost.wait_until_up()
    read = harbour.read()
    assert read.statuses[first.address] == "up_to_date"
    assert "fay" not in [user.name for user in read.users]
    # Whatever the unplugged one was left with, the next change brings all to the same.
    assert harbour.change(harbour.new("gil")).is_good
    assert harbour.statuses("gil") == [200, 200]
    assert harbour.statuses("fay") == [401, 401]


def _unplugged_after_committing(harbour: Harbour) -> None:
    """It is outdated, or the change is undone."""
    lost = harbour.machines[1]

    def unplug(event: Event) -> None:
        # It has the change already; the other is still on its way.
        if isinstance(event, Committed) and event.server == lost.address and lost.is_on():
            lost.crash()

    report = harbour.change(harbour.new("hal"), on_event=unplug)

    lost.start()
    lost.wait_until_up()
    statuses = harbour.statuses("hal")
    standing = harbour.read().statuses[lost.address]
    if report.exit_code == ExitCode.FAILED:
        assert statuses[0] == 401
    same = len(set(statuses)) == 1
    assert same or standing in {"outdated", "modified"}, (statuses, standing, report)
    assert harbour.change(harbour.new("ida")).is_good
    assert harbour.statuses("ida") == [200, 200]
    assert len(set(harbour.statuses("hal"))) == 1


def _one_nginx_rejects(harbour: Harbour) -> None:
    """The change is undone everywhere."""
    broken = harbour.machines[1]
    add_dan = harbour.new("dan")

    def broken_meanwhile(users: tuple[RegistryUser, ...]) -> tuple[RegistryUser, ...]:
        broken.write_file("/etc/nginx/conf.d/broken.conf", "nonsense;\n")
        return add_dan(users)

    report = harbour.change(broken_meanwhile)
    by_server = {each.server: each for each in report.servers}
    assert by_server[broken.address].status == "failed"
    assert "nonsense" in by_server[broken.address].message
    assert f"because {broken.address} failed" in by_server[harbour.machines[0].address].message
    assert harbour.statuses("dan") == [401, 401]
    assert set(harbour.read().statuses.values()) == {"up_to_date"}

    # One that does so from the beginning is told before anything is done.
    with pytest.raises(ServersFailed, match="nonsense"):
        harbour.change(add_dan)
    broken.run("rm /etc/nginx/conf.d/broken.conf")


def test_an_apply_keeps_users_added_on_servers_and_removes_those_deleted_from_the_answers(
    operator: Operator, server: LabServer
) -> None:
    listed = [{"name": name, "password": {"generate": True}} for name in ("ci", "ana")]
    answers = operator.answers([server], credentials={"users": listed})
    operator.install(answers)
    harbour = Harbour(operator, answers, [server])
    assert harbour.change(harbour.new("bob")).is_good

    fewer = operator.answers([server], credentials={"users": listed[:1]})
    operator.install(fewer)

    assert operator.status(server, user="bob") == 200
    assert operator.status(server, user="ana") == 401
    assert operator.status(server, user="ci") == 200
    assert operator.apply(fewer).plan.has_changes is False


@pytest.mark.deployed
def test_an_apr1_and_a_sha_hash_log_in(operator: Operator, server: LabServer) -> None:
    from passlib.hash import apr_md5_crypt, sha256_crypt, sha512_crypt

    harbour = Harbour(operator, operator.answers([server]), [server])
    for number, scheme in enumerate((apr_md5_crypt, sha256_crypt, sha512_crypt)):
        name, password = f"user{number}", Secret(f"an old password {number}")
        operator.passwords[name] = password.reveal()
        user = RegistryUser(name, scheme.hash(password.reveal()))
        assert harbour.change(lambda users, user=user: edits.add(users, user)).is_good  # type: ignore[misc]
        assert operator.status(server, user=name) == 200
    assert operator.status(server, user="user0", domain=DOMAIN, password="wrong one") == 401


@pytest.mark.deployed
def test_a_staged_change_is_not_active_yet(operator: Operator, server: LabServer) -> None:
    # nginx reads the password file at every request: it must not be in place before the switch.
    answers = operator.answers([server])
    harbour = Harbour(operator, answers, [server])
    assert harbour.change(harbour.new("ana")).is_good
    seen: list[int] = []

    def look(event: Event) -> None:
        if isinstance(event, Staged):
            seen.append(operator.status(server, user="ana"))

    assert harbour.change(lambda users: edits.remove(users, ["ana"]), on_event=look).is_good
    assert seen == [200]
    assert operator.status(server, user="ana") == 401
