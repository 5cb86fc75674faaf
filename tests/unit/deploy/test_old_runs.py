"""The cleanup of old runs, with the script that servers run."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "templates/shell/run"


def _clean_up(state: Path, options: str = "-eu") -> None:
    subprocess.run(
        ["sh", options, "-c", f". {SCRIPTS}/additions.sh; . {SCRIPTS}/files.sh; forget_old_runs"],
        env={
            "state": str(state),
            "run": str(state / "runs/2"),
            "tab": "\t",
            "newline": "\n",
            "PATH": f"{state}:/usr/bin:/bin",
        },
        cwd=state,
        check=True,
    )


def _old_run(state: Path) -> Path:
    (state / "runs/2").mkdir(parents=True)
    old = state / "runs/1"
    old.mkdir()
    (old / "lock").touch()
    (old / "step").write_text("recheck\n")
    return old


def test_a_killed_run_gets_a_result(tmp_path: Path) -> None:
    old = _old_run(tmp_path)

    _clean_up(tmp_path)

    assert (old / "result").read_text() == "interrupted\nrun_interrupted\nrecheck\n"
    assert sorted(each.name for each in old.iterdir()) == ["lock", "result", "step"]


def test_a_run_that_is_starting_can_still_write_its_own_result(tmp_path: Path) -> None:
    old = _old_run(tmp_path)
    (old / "result.new").write_text("locked\nrun_locked\n2\n")  # it is about to rename it

    _clean_up(tmp_path)

    assert (old / "result.new").read_text() == "locked\nrun_locked\n2\n"


def test_a_run_that_another_operator_is_sending_stays(tmp_path: Path) -> None:
    old = _old_run(tmp_path)
    (old / "step").unlink()
    (old / "lock").unlink()
    (old / "content").mkdir()
    with (old / "sending").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        _clean_up(tmp_path)
        assert (old / "content").is_dir()
        assert not (old / "result").exists()

    # Its connection was lost.
    _clean_up(tmp_path)

    assert not (old / "content").exists()


def _ended_run(state: Path, number: int, result: str, step: str) -> None:
    run = state / f"runs/{number}"
    run.mkdir(parents=True)
    (run / "step").write_text(step)
    (run / "result").write_text(f"{result}\ncode\n\n")


def test_refused_runs_do_not_replace_the_others(tmp_path: Path) -> None:
    refused = [("locked", ""), ("failed", "recheck\n"), ("cancelled", "wait\n"), ("failed", "")]
    for number in range(100, 103):
        _ended_run(tmp_path, number, "failed", "recheck\nback-up\n")
    for number in range(103, 119):
        _ended_run(tmp_path, number, *refused[number % 4])
    _ended_run(tmp_path, 119, "done", "drain\n")

    _clean_up(tmp_path)

    left = sorted(int(each.name) for each in (tmp_path / "runs").iterdir())
    assert left == [100, 101, 102, *range(109, 120)]


@pytest.mark.parametrize(
    ("planned", "apt_mark", "noted"),
    [
        ("nginx\n", "echo nginx; echo vim", ["libnginx", "nginx"]),
        # Runs of earlier versions that change images have no list, and apt-mark can fail.
        (None, "echo nginx; echo vim", ["libnginx"]),
        ("nginx\n", "echo nginx; exit 1", []),
    ],
)
def test_packages_that_an_administrator_asked_for_are_not_noted(
    tmp_path: Path, planned: str | None, apt_mark: str, noted: list[str]
) -> None:
    old = _old_run(tmp_path)
    (old / "step").write_text("packages\n")
    (old / "packages.before").write_text("bash\t5\n")
    if planned is not None:
        (old / "plan").mkdir()
        (old / "plan" / "packages").write_text(planned)
    installed = "".join(
        f"installed\\t{name}\\t1\\n" for name in ("bash", "libnginx", "nginx", "vim")
    )
    for name, program in (("apt-mark", apt_mark), ("dpkg-query", f"printf '{installed}'")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{program}\n")
        (tmp_path / name).chmod(0o755)

    _clean_up(tmp_path, "-u")

    additions = tmp_path / "additions"
    lines = additions.read_text().splitlines() if additions.exists() else []
    assert [line.split("\t")[1] for line in lines] == noted
