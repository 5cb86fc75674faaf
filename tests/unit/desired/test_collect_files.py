"""The files of the schedule of collections on a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from old_pythons import VERSIONS, find_python
from stored_registry import StoredRegistry

from moorage.answers.model import Answers
from moorage.desired import layout
from moorage.desired.collect import collect_files, collect_script, recover_script
from moorage.desired.state import Effect
from moorage.images.retention import Keep, Rule
from moorage.images.sweep import Entry, Sweep
from moorage.images.task import read_task

RULE = {"repositories": ["team-a/*"], "keep": {"last": 3, "tags": ["v*"], "pulled_within": "90d"}}


def _answers(**more: Any) -> Answers:
    return Answers.model_validate({
        "registry": {"domain": "registry.example.com"},
        "servers": [{"host": "one"}],
        "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        **more,
    })  # fmt: skip


def _files(**more: Any) -> dict[str, Any]:
    return {file.path: file for file in collect_files(_answers(**more), "store-1")}


def test_without_a_schedule_only_the_recovery_at_boot() -> None:
    assert set(_files(retention=[RULE])) == {layout.RECOVER_SCRIPT, layout.RECOVER_SERVICE}


def test_with_images_in_s3_there_is_none() -> None:
    s3 = {"driver": "s3", "s3": {"bucket": "images", "region": "eu-central-1"}}
    assert _files(storage=s3) == {}


def test_the_settings_say_what_the_answers_say(tmp_path: Path) -> None:
    collect = {"when": "Sun 03:00", "grace": "30m", "young": "2d", "trash": "14d", "untagged": "9d"}
    files = _files(retention=[RULE], collect=collect)
    settings = tmp_path / "collect.json"
    settings.write_bytes(files[layout.COLLECT_SETTINGS].content)
    task = read_task(settings)
    assert (task.action, task.root) == ("scheduled", "/var/lib/moorage/registry")
    assert task.store == "store-1"
    day = 86400.0
    assert (task.grace, task.young, task.trash, task.untagged) == (1800, 2 * day, 14 * day, 9 * day)
    assert task.rules == (Rule(("team-a/*",), Keep(3, ("v*",), None, 90 * day)),)
    assert not task.takes_untagged
    assert not task.purges
    timer = files[layout.COLLECT_TIMER]
    assert "\nOnCalendar=Sun 03:00\n" in timer.content.decode()
    assert timer.effect is Effect.SCHEDULE
    # A changed rule needs neither a switch nor a reload.
    assert files[layout.COLLECT_SETTINGS].effect is Effect.NOTHING


@pytest.mark.parametrize("version", VERSIONS)
def test_the_recovery_needs_nothing_but_python(tmp_path: Path, version: str) -> None:
    registry = StoredRegistry(tmp_path / "images")
    registry.image("app", [registry.blob("app", b"layer")], "v1")
    paths = sorted(str(each.relative_to(registry.v2)) for each in registry.v2.rglob("data"))
    sweep = Sweep(registry.root, "run1.000")
    sweep.prepare([Entry(path) for path in paths])
    sweep.move(set(), float("inf"))
    assert not list(registry.v2.rglob("data"))
    program = tmp_path / "recover.py"
    program.write_bytes(recover_script())

    done = subprocess.run(
        [find_python(version), "-I", "-B", str(program), str(registry.root), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert "put back what run run1.000" in done.stdout
    assert sorted(str(each.relative_to(registry.v2)) for each in registry.v2.rglob("data")) == paths


def test_a_scheduled_run_leaves_its_log_and_how_it_ended(tmp_path: Path) -> None:
    program = tmp_path / "collect.py"
    text = collect_script().decode().replace(
        "path.with_name(\"images.sh\"), Places(Path())",
        "path.with_name(\"images.sh\"), Places(Path(), "
        + ", ".join(f"Path({str(tmp_path / name)!r})" for name in _PLACES) + ")",
    )  # fmt: skip
    program.write_text(text)
    (tmp_path / "state").mkdir()
    (tmp_path / "images.sh").write_text("exit 3\n")
    settings = json.loads(_files(collect={"when": "daily"})[layout.COLLECT_SETTINGS].content)
    settings["root"], settings["store"] = str(tmp_path / "images"), "store-1"
    (tmp_path / "collect.json").write_text(json.dumps(settings))

    done = subprocess.run(
        [sys.executable, "-I", "-B", str(program), str(tmp_path / "collect.json")],
        check=False, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip

    assert done.returncode == 1
    [run] = (tmp_path / "state/runs").iterdir()
    assert (run / "result").read_text().splitlines()[:2] == ["failed", "images_store_missing"]
    assert "@result\tfailed\timages_store_missing" in (run / "log").read_text()
    [ended] = (tmp_path / "state/collection").read_text().splitlines()
    kind, run_id, began, end, status, code, root = ended.split("\t")
    assert (kind, run_id, status, code) == ("ended", run.name, "failed", "images_store_missing")
    assert 0 <= int(end) - int(began) < 60
    assert root == str(tmp_path / "images")


_PLACES = ("state", "etc", "web", "upstream.conf", "sockets", "moorage.log")
