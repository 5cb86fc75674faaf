"""A disk that fills up during a run: what is said is true, and the next apply converges."""

from __future__ import annotations

import json
from pathlib import Path

from operator_at_work import DOMAIN, Operator
from thorough import IS_THOROUGH

from lab import LabServer
from moorage.answers.model import Answers

FOLDERS = ("/etc/moorage", "/etc/nginx", "/var/lib/moorage/runs")
CONVERGES = {
    # The program of a run, or the hook, that finds the disk full from then on; and the folder.
    ("id", "/etc/nginx"): "failed",
    ("id", "/var/lib/moorage/runs"): "failed",
    # What is placed late was written before, so there is nothing left that could fail.
    ("after_apply", "/etc/moorage"): "done",
}
if IS_THOROUGH:
    CONVERGES |= {
        ("id", "/etc/moorage"): "failed",
        ("after_apply", "/etc/nginx"): "done",
        ("after_apply", "/var/lib/moorage/runs"): "done",
    }
FILL = """#!/bin/sh
{ read -r when && read -r folder; } </root/fill
if [ "$when" = "${MOORAGE_EVENT:-id}" ]; then
    head -c 64M /dev/zero >"$folder/.full" 2>/dev/null
    : >/root/filled
fi
"""


def _answers(operator: Operator, fill: Path, server: LabServer, level: str) -> Answers:
    hook = {"name": "fill", "script": str(fill), "when": ["after_apply"]}
    registry = {"domain": DOMAIN, "settings": {"log": {"level": level}}}
    return operator.answers([server], registry=registry, hooks=[hook])


def _fill_when(server: LabServer, when: str, folder: str) -> None:
    server.run("rm -f /root/filled")
    server.write_file("/root/fill", f"{when}\n{folder}\n")


def test_a_full_disk_never_leaves_a_partial_file_or_a_false_result(
    operator: Operator, server: LabServer, tmp_path: Path
) -> None:
    for folder in FOLDERS:
        server.run(f"mkdir -p {folder} && mount -t tmpfs -o size=4m,mode=755 tmpfs {folder}")
    fill = tmp_path / "fill.sh"
    fill.write_text(FILL)
    _fill_when(server, "never", "/")
    operator.install(_answers(operator, fill, server, "info"))
    server.write_file(
        "/usr/local/sbin/id",
        f'{FILL}exec /usr/bin/id "$@"\n',
        mode=0o755,
    )
    additions = server.read_file("/var/lib/moorage/additions")
    levels = ["debug", "info"]
    for (when, folder), status in CONVERGES.items():
        answers = _answers(operator, fill, server, levels[0])
        _fill_when(server, when, folder)
        outcome = operator.apply(answers)
        [report] = outcome.report.servers
        assert server.run("ls /root/filled", check=False).stdout, (when, folder)
        assert report.status == status, (when, folder, report, outcome.log)
        if status == "failed":
            assert f"no space left on {folder}" in report.message
            assert "rolled back to the previous state" in outcome.log
        assert operator.status(server) == 200
        record = json.loads(server.read_file("/etc/moorage/deployment.json"))
        assert (record["run"] == report.run_id) is (status == "done")
        assert server.read_file("/var/lib/moorage/additions") == additions
        with operator.open(answers) as deployment:
            [facts] = deployment.probe()
        assert facts.runs[-1].status == status
        _fill_when(server, "never", "/")
        server.run(f"rm {folder}/.full")
        operator.install(answers)
        assert not operator.plan(answers).has_changes
        left = "find /etc/moorage /etc/nginx /etc/systemd -name '.moorage.*'"
        assert server.run(left).stdout == ""
        levels.reverse()
