"""``moorage history``: who changed what and when, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from calls import Moorage, write_answers
from fake_server import FakeServers

ONE, TWO = "one.example.test", "two.example.test"
RUN = "20261128T100000000-aaaa"
RECORD = json.dumps({"revision": 2, "by": "ana@laptop\x1b[2J", "at": "2026-11-28T10:00:00Z",
                     "history": [{"revision": 2, "added": ["carl"]}]})  # fmt: skip
KEPT = f"run\t{RUN}\tno\t1795860042\t1795860000\tapply\tdrain\tdone\t\t\nrecord\t{RECORD}\nend\n"


def test_runs_are_shown_with_operator_duration_and_result(
    moorage: Moorage, home: Path, servers: FakeServers
) -> None:
    file = write_answers(home / "two.yml", [ONE, TWO])
    servers[ONE].history = servers[TWO].history = KEPT.encode()
    outcome = moorage("history", str(file))
    assert outcome.code == 0, outcome.stderr
    assert [line.split() for line in outcome.stdout.splitlines()] == [
        ["when", "by", "took", "revision", "result", "what"],
        ["2026-11-28T10:00:00Z", "ana@laptop[2J", "42", "s", "2", "✓", "done",
         "added", "carl"],
    ]  # fmt: skip
    [run] = moorage("history", str(file), "--json").json["runs"]
    assert run["run"] == RUN
    assert (run["by"], run["revision"], run["added"]) == ("ana@laptop[2J", 2, ["carl"])
    assert [each["server"] for each in run["servers"]] == [ONE, TWO]


def test_a_server_that_cannot_be_read_is_named(
    moorage: Moorage, home: Path, servers: FakeServers
) -> None:
    file = write_answers(home / "two.yml", [ONE, TWO])
    servers[ONE].history = b"cut"
    outcome = moorage("history", str(file))
    assert outcome.code == 1
    assert f"! {ONE}  its runs could not be read" in outcome.stdout
    assert "No runs." not in outcome.stdout
    servers[ONE].history = servers[TWO].history = b"end\n"
    assert moorage("history", str(file)).stdout == "No runs.\n"


def test_a_long_reason_is_below_its_run(moorage: Moorage, home: Path, servers: FakeServers) -> None:
    file = write_answers(home / "one.yml", [ONE])
    reason = "apt-get ended with 100: " + "E: no package, " * 20
    failed = ("run", "20261128T110000000-bbbb", "no", "1795863642", "1795863600", "apply")
    failed += ("packages", "failed", f"{reason}\n")
    failed += ('record\t{"revision": 3}\n',)
    servers[ONE].history = ("\t".join(failed[:-1]) + failed[-1] + KEPT).encode()
    head, first, why, second = moorage("history", str(file)).stdout.splitlines()
    assert why.strip() == reason.strip()
    assert first.endswith("failed while installing packages  apply")
    assert [line[head.index("revision") :].split()[0] for line in (first, second)] == ["-", "2"]
    assert head.index("what") == first.index("apply") == second.index("added carl")
    [run, made] = moorage("history", str(file), "--json").json["runs"]
    assert (run["revision"], made["revision"]) == (None, 2)
    assert run["servers"][0]["message"].strip() == reason.strip()
