"""Signals to the run script: each end of a run leaves a result, and none breaks a rollback."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from moorage.deploy.events import Event, LogLine
from moorage.deploy.run.run import ServerRun
from moorage.servers.transport import Completed, Transport

SCRIPTS = Path("templates/shell/run").resolve()
FILES = (
    "common.sh causes.sh watchdog.sh files.sh additions.sh hooks.sh packages.sh program.sh "
    "storage.sh slots.sh full_disk.sh"
)
NEEDED = f"{FILES} certificate.sh nginx.sh schedule.sh deployments.sh rollback.sh".split()


def _run(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run shell code in place of a run's steps, with the functions of a run."""
    for name in NEEDED:
        (folder / name).write_text((SCRIPTS / name).read_text())
    whole = (SCRIPTS / "run.sh").read_text()
    start, lock = whole.index("set -u\n"), whole.index("take_locks\n")
    head = whole[start:lock].replace("state=/var/lib/moorage", "state=.")
    return subprocess.run(
        ["sh", "-c", f"{head}\n{script}", "run.sh", str(folder)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("signal", ["TERM", "HUP", "INT", "PIPE"])
def test_a_signal_leaves_a_result(tmp_path: Path, signal: str) -> None:
    ended = _run(tmp_path, f"kill -{signal} $$; sleep 5; echo not reached")
    assert ended.stdout.splitlines()[-1] == "@result\tcancelled\trun_cancelled\t"
    assert (tmp_path / "result").read_text() == "cancelled\nrun_cancelled\n\n"
    assert ended.returncode == 0


@pytest.mark.parametrize("signal", ["TERM", "HUP", "INT", "PIPE"])
@pytest.mark.parametrize(
    ("end", "result"), [("undo", "undone\trun_undone"), ("fail cannot_sync", "failed\tcannot_sync")]
)
def test_a_signal_does_not_break_a_rollback(
    tmp_path: Path, signal: str, end: str, result: str
) -> None:
    script = f"""
        restore_all() {{ kill -{signal} $$; echo rolled back; }}
        record() {{ echo recorded; }}
        remove_staged() {{ echo removed; }}
        rollback_needed=yes
        true >forward
        {end}"""
    ended = _run(tmp_path, script)
    lines = ended.stdout.splitlines()
    assert "rolled back" in lines
    assert "removed" in lines
    assert lines[-1].startswith(f"@result\t{result}")
    assert not (tmp_path / "forward").exists()


def test_a_record_that_cannot_be_written_does_not_start_another_rollback(tmp_path: Path) -> None:
    script = """
        restore_all() { echo rolled back; }
        record() { fail cannot_sync; }
        remove_staged() { :; }
        rollback_needed=yes
        undo"""
    lines = _run(tmp_path, script).stdout.splitlines()
    assert lines.count("rolled back") == 1
    assert lines[-1].startswith("@result\tfailed\tcannot_sync")


def test_the_log_says_why_before_the_rollback(tmp_path: Path) -> None:
    script = """
        restore_all() { say restored; }
        record() { :; }
        remove_staged() { :; }
        rollback_needed=yes
        step recheck
        kill -TERM $$
        sleep 5"""
    output = _run(tmp_path, script).stdout
    events: list[Event] = []

    def print_output(script: str, **options: Any) -> Completed:
        options["on_stdout"](output.encode())
        return Completed(0, b"", b"")

    transport = cast("Transport", SimpleNamespace(server="web1", run=print_output))
    ServerRun(transport, "1", events.append, str).attach()
    texts = [event.text for event in events if isinstance(event, LogLine)]
    why = "cancelled while checking for changes since the plan: stopped by the operator"
    assert texts[0] == why
    assert "restored" in texts[1:]
    assert not [text for text in texts if "recheck" in text or "run_cancelled" in text]
