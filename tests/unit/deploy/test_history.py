"""The history: what the script prints of the runs on a server, and what is made of it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path

import pytest
from fake_server import FakeServer, FakeServers, WithoutQuestions

from moorage.answers.load import loads
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import LogLine, StepBegan
from moorage.deploy.images.summary import summary_of
from moorage.deploy.lifecycle.history import History, Kind, read_history, read_run_log
from moorage.deploy.record.deployment_json import UNKNOWN_NAME
from moorage.images.task import Task
from moorage.rows import Level
from moorage.servers.run_results import RunStatus
from templates.load import shell_script

DONE = "20261128T100000000-aaaa"
FAILED = "20261128T110000000-bbbb"
LOCKED = "20261128T110500000-cccc"
COLLECTED = "20261128T120000000-dddd"
KILLED = "20261128T130000000-eeee"
T0 = 1_795_860_000


def record(revision: int, by: str = "ana@laptop", **change: object) -> str:
    """Return a server's record after a change."""
    at = f"2026-11-28T0{revision}:00:00Z"
    entry = {"revision": revision, "by": by, "at": at, **change}
    first = {"revision": 1, "by": "bob@desk", "at": "2026-11-01T08:00:00Z", "answers": ["ssl.mode"]}
    return json.dumps({"revision": revision, "by": by, "at": at, "history": [first, entry]},
                      indent=2)  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folders of a server with five runs."""
    runs = tmp_path / "state" / "runs"
    steps = f"@step\t{T0}\trecheck\nline\n@step\t{T0 + 20}\tswitch\n"

    def run(name: str, result: str | None, step: str, log: str = steps, **files: str) -> None:
        folder = runs / name
        (folder / "plan").mkdir(parents=True)
        (folder / "log").write_text(log)
        (folder / "lock").touch()
        (folder / "step").write_text(step)
        if result is not None:
            (folder / "result").write_text(result)
        for path, content in files.items():
            (folder / path.replace("__", "/").replace("_json", ".json")).write_text(content)
        os.utime(folder, (T0 + 42, T0 + 42))

    users = record(2, added=["carl"])
    run(DONE, "done\n\n\n", "recheck\ndrain\n", plan__deployment_json=users, plan__undone_json="{}")
    storage = record(3, "ci", answers=["storage.driver"])
    disk = "failed\ncannot_write\t\n/etc/x\tno space left on /\n".replace("\t\n", "\n")
    run(FAILED, disk, "recheck\npackages\n", plan__deployment_json=storage)
    run(LOCKED, f"locked\nrun_locked\n{FAILED}\n", "", "", plan__deployment_json=storage)
    run(COLLECTED, "done\n\n\n", "images-mark\n", task_json='{"action": "collect"}')
    run(KILLED, None, "recheck\nswitch\n", plan__deployment_json=storage)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "deployment.json").write_text(users)
    (runs / "link").symlink_to(tmp_path)
    return tmp_path


def printed(script: str, state: Path, sent: str) -> bytes:
    """Return what a script prints with the folders in another place."""
    code = shell_script("runs.sh") + shell_script(script)
    code = code.replace("/var/lib/moorage", f"{state}/state")
    code = code.replace("/etc/moorage", f"{state}/etc")
    path = f"{state}/bin:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-c", code], input=sent.encode(), capture_output=True, check=True,
                          env={**os.environ, "PATH": path})  # fmt: skip
    assert not done.stderr
    return gzip.decompress(done.stdout)


def deployment(*servers: FakeServer) -> Deployment:
    """Return a deployment of servers."""
    known = FakeServers()
    known.update({each.server: each for each in servers})
    hosts = ", ".join(f"{{host: {each.server}}}" for each in servers)
    answers = loads(
        f"version: 1\nregistry: {{domain: registry.example.com}}\nservers: [{hosts}]\n"
        "credentials: {users: [{name: ci, password: {generate: true}}]}\n"
        "storage: {driver: s3, s3: {bucket: images, region: eu-central-1}}\n"
    )
    return Deployment(answers, WithoutQuestions(), open_transport=known.open)


def history(*servers: FakeServer) -> History:
    """Return the history of servers."""
    return read_history(deployment(*servers))


def test_each_run_says_when_by_whom_what_and_how_it_ended(state: Path) -> None:
    found = history(FakeServer("alpha", history=printed("history.sh", state, "40\n")))
    assert not found.left_out
    assert [(row.kind, row.by, row.status, row.level) for row in found.rows] == [
        (Kind.APPLY, "ci", RunStatus.LOCKED, Level.WARNING),
        (Kind.APPLY, "ci", RunStatus.INTERRUPTED, Level.BAD),
        (Kind.COLLECT, "", RunStatus.DONE, Level.GOOD),
        (Kind.APPLY, "ci", RunStatus.FAILED, Level.BAD),
        (Kind.USERS, "ana@laptop", RunStatus.DONE, Level.GOOD),
        (Kind.APPLY, "bob@desk", RunStatus.DONE, Level.GOOD),
    ]
    by_id = {row.run_id: row for row in found.rows}
    assert by_id[DONE].what == "added carl"
    assert by_id[DONE].seconds == 42
    assert by_id[DONE].at == T0
    assert by_id[DONE].change.revision == 2
    assert by_id[FAILED].what == "changed settings storage.driver"
    assert by_id[FAILED].ending == (
        "failed while installing packages: /etc/x could not be written: no space left on /"
    )
    assert by_id[LOCKED].ending == f"locked: run {FAILED} is in progress"
    assert by_id[KILLED].ending == "interrupted while switching nginx over"
    assert by_id[""].what == "changed settings ssl.mode"
    assert not by_id[""].runs


def test_a_run_on_several_servers_is_one_row_that_names_the_worst(state: Path) -> None:
    alpha = FakeServer("alpha", history=printed("history.sh", state, "40\n"))
    text = alpha.history.decode().replace("\tdone\t\t", "\tfailed\tcannot_sync\t")
    beta = FakeServer("beta", history=text.encode())
    rows = {row.run_id: row for row in history(alpha, beta).rows}
    assert len(rows) == 6
    assert rows[DONE].status is RunStatus.FAILED
    assert rows[DONE].ending.endswith("could not be written to the disk on beta")
    assert [each.server for each in rows[DONE].runs] == ["alpha", "beta"]


def test_servers_of_another_registry_are_left_out() -> None:
    def kept(number: int, domain: str) -> bytes:
        current = json.dumps(json.loads(record(number, added=["ana"])) | {"domain": domain})
        return f"current\t{current}\nend\n".encode()

    one = FakeServer("one", history=kept(2, "one.example.com"))
    two = FakeServer("two", history=kept(3, "two.example.com"))
    asked = deployment(one, two)
    assert len(read_history(asked).rows) == 3
    registry = asked.answers.registry.model_copy(update={"domain": UNKNOWN_NAME})
    answers = asked.answers.model_copy(update={"registry": registry})
    found = read_history(asked.with_answers(answers))
    assert [(error.server, error.code) for error in found.left_out] == [("two", "other_registry")]
    assert [row.revision for row in found.rows] == [2, 1]


def test_a_run_that_starts_or_ends_just_now_is_not_interrupted(state: Path) -> None:
    starting, ending, sent = (f"20261129T1{n}0000000-aaaa" for n in range(3))
    for name in (starting, ending, sent):
        (state / "state" / "runs" / name).mkdir()
        (state / "state" / "runs" / name / "task.json").write_text('{"action": "collect"}')
    (state / "state" / "runs" / starting / "lock").touch()
    result = state / "state" / "runs" / ending / "result"
    (result.parent / "lock").touch()
    (result.parent / "step").write_text("images-mark\n")
    # It ends after its result was looked for, and before its lock was.
    flock = state / "bin" / "flock"
    flock.parent.mkdir()
    flock.write_text(f"#!/bin/sh\nprintf 'done\\n\\n\\n' >{result}\nexec /usr/bin/flock \"$@\"\n")
    flock.chmod(0o755)
    found = history(FakeServer("alpha", history=printed("history.sh", state, "40\n")))
    status = {row.run_id: row.status for row in found.rows}
    assert status[starting] is RunStatus.RUNNING
    assert status[ending] is RunStatus.DONE
    assert sent not in status
    assert status[KILLED] is RunStatus.INTERRUPTED


def test_only_so_many_runs_are_read(state: Path) -> None:
    text = printed("history.sh", state, "2\n").decode()
    assert [line.split("\t")[1] for line in text.splitlines() if line.startswith("run\t")] == [
        KILLED
    ]
    assert history(FakeServer("alpha", history=b"end\n")) == History()


def summary(action: str, tags: int = 0, repositories: int = 0) -> str:
    """Return what a run on images notes about itself."""
    every = tuple((f"team/app{number % 2}", f"{number}", "") for number in range(tags))
    task = Task(action, "/x", tags=every, repositories=("old",) * repositories)
    return summary_of(task).decode()


@pytest.mark.parametrize(
    ("task", "counted", "by", "what"),
    [
        (("delete", 3), {"tags": 3}, "ana@laptop", "deleted 3 tags of 2 repositories"),
        (("delete", 1, 2), {}, "ana@laptop",
         "deleted 1 tag of 1 repository and 2 whole repositories"),
        (("restore",), {"restored": 9}, "ana@laptop", "restored everything in the trash"),
        (("restore", 0, 1), {}, "ana@laptop", "restored 1 whole repository"),
        (("retain", 9), {"tags": 8}, "ana@laptop",
         "removed 8 tags of 2 repositories by the retention rules"),
        (("collect",), {"blobs": 340, "bytes": 1288490188}, "ana@laptop",
         "collected 1.2 GiB in 340 blobs"),
        (("collect",), {"purged": 2048}, "ana@laptop", "deleted 2.0 KiB from the trash"),
        (("collect",), {}, "ana@laptop", "images collected"),
        (None, {"tags": 2, "blobs": 1, "bytes": 1024}, "on schedule",
         "removed 2 tags by the retention rules, collected 1.0 KiB in 1 blob"),
        (None, {}, "on schedule", "retention and collection"),
    ],
)  # fmt: skip
def test_runs_on_images_say_by_whom_and_what(
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    task: tuple[str, int, int] | None,
    counted: dict[str, int],
    by: str,
    what: str,
) -> None:
    monkeypatch.setenv("MOORAGE_BY", "ana@laptop")
    run = state / "state" / "runs" / COLLECTED
    (run / "task.json").write_text('{"action": "scheduled"}\n')
    if task is not None:
        (run / "task.json").write_text('{"action": "hold"}')
        (run / "summary.json").write_text(summary(*task))
    lines = "".join(f"@number\t{name}\t{number}\n" for name, number in counted.items())
    (run / "log").write_text(f"{(run / 'log').read_text()}{lines}@result\tdone\t\t\n")
    found = history(FakeServer("alpha", history=printed("history.sh", state, "40\n")))
    row = next(row for row in found.rows if row.run_id == COLLECTED)
    assert (row.by, row.what) == (by, what)


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"run\t" + DONE.encode(),
        b"\xff\xfe\x00" * 1000,
    ],
)
def test_what_was_cut_is_not_the_history(kept: bytes) -> None:
    found = history(FakeServer("alpha", history=kept))
    assert not found.rows
    assert [error.code for error in found.left_out] == ["history_unreadable"]


@pytest.mark.parametrize(
    "line",
    [
        "run",
        "run\t../../etc/passwd\tyes",
        f"run\t{DONE}\tyes\t-1\tnan\tapply\t[red]\x1b[2J\tdone",
        f"run\t{DONE}\tno\t{'9' * 400}\t{'9' * 14}\t__class__\t\tnonsense\t{{0}}{{9}}",
        f"run\t{DONE}\tno\t1\t1\tapply\t\t\nrecord\t" + "[" * 100_000,
        f"run\t{DONE}\tno\t1\t1\tapply\t\t\nrecord\t[1, 2]",
        f'run\t{DONE}\tno\t1\t1\tapply\t\t\nrecord\t{{"revision": "x", "by": [1]}}',
        f'run\t{DONE}\tno\t1\t1\tapply\t\t\ntask\t{{"action": ["apply"]}}',
        f'run\t{DONE}\tno\t1\t1\t\t\ntask\t{{"action": [], "tags": -1}}\ncounted\tx\t-1\ty',
        f'run\t{DONE}\tno\t1\t1\t\t\ntask\t{{"action": "delete", "tags": 1e999, "by": {{}}}}\n'
        "counted\ttags\t\u0663",
        'current\t{"revision": 1, "history": [{"revision": 1, "at": "9999999-01", "by": "x"}]}',
        "record\t{}\ntask\t{}",
    ],
)
def test_nothing_that_a_server_prints_breaks_it(line: str) -> None:
    found = history(FakeServer("alpha", history=f"{line}\nend\n".encode()))
    assert not found.left_out
    for row in found.rows:
        assert row.what
        assert row.ending
        assert row.at >= 0
        assert row.seconds is None or row.seconds >= 0


def test_the_log_of_a_run_is_its_end(state: Path) -> None:
    log = state / "state" / "runs" / DONE / "log"
    log.write_text(log.read_text() + "\x1b[31mred\n@number\tx\t1\n@result\tfailed\tcannot_sync\t\n")
    alpha = FakeServer("alpha", run_log=printed("run_log.sh", state, f"{DONE}\n4096\n"))
    lines = read_run_log(deployment(alpha), "alpha", DONE)
    assert [each.step if isinstance(each, StepBegan) else each.text for each in lines] == [
        "recheck", "line", "switch", r"\x1b[31mred",
        "failed: the new files could not be written to the disk",
    ]  # fmt: skip
    assert all(isinstance(each, LogLine | StepBegan) for each in lines)
    assert printed("run_log.sh", state, f"{DONE}\n4\n").decode()[-1:] == "\n"
    assert len(printed("run_log.sh", state, f"{DONE}\n4\n")) == 4


@pytest.mark.parametrize("name", ["", "..", "../runs/x", "/etc", ".", "20990101T000000000-ffff"])
def test_only_logs_of_runs_are_read(state: Path, name: str) -> None:
    code = shell_script("run_log.sh").replace("/var/lib/moorage", f"{state}/state")
    sent = f"{name}\n100\n".encode()
    done = subprocess.run(["sh", "-c", code], input=sent, capture_output=True, check=False)
    assert done.returncode == 3
    assert not done.stdout
