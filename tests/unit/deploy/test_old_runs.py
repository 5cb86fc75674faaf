"""The cleanup of old runs, with the script that servers run."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

SCRIPTS = Path(__file__).parents[3] / "templates/shell/run"


def _clean_up(state: Path) -> None:
    subprocess.run(
        ["sh", "-eu", "-c", f". {SCRIPTS}/additions.sh; . {SCRIPTS}/files.sh; forget_old_runs"],
        env={"state": str(state), "run": str(state / "runs/2"), "PATH": "/usr/bin:/bin"},
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
