"""What is in the place of Moorage's files and is none of them is a problem, not drift."""

from __future__ import annotations

import pytest

from moorage.deploy.plan.managed_files import misplaced_files
from moorage.deploy.status.status import how_it_ended
from moorage.desired import layout
from moorage.servers.facts import Facts, ManagedFile, ManagedFolder, RunRecord
from moorage.servers.run_results import read_result


def _file(path: str, content: bytes = b"", links_to: str = "") -> ManagedFile:
    return ManagedFile(path, content, 0o644, "root", "root", links_to)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (_file(layout.DEPLOYMENT, b"{"), "record_unreadable"),
        (_file(layout.DEPLOYMENT, b"\xff"), "record_unreadable"),
        (_file(layout.DEPLOYMENT, b'{"server": "one"}'), ""),
        (_file(layout.HTPASSWD, b"/srv/htp", "/srv/htp"), "not_a_file"),
        (_file(layout.HTPASSWD, b"ci:hash"), ""),
        (_file(layout.NGINX_SITE, b"/srv/site", "/srv/site"), ""),  # drift; an apply mends it
        (_file(layout.ETC, b"/srv/moorage", "/srv/moorage"), "not_a_folder"),
    ],
)
def test_links_and_broken_records_are_found(file: ManagedFile, code: str) -> None:
    facts = Facts("one", files={file.path: file})
    assert [each.code for each in misplaced_files(facts)] == ([code] if code else [])


def test_a_folder_in_place_of_a_file_is_found() -> None:
    there = ManagedFolder(layout.NGINX_SITE, 0o755, "root", "root")
    facts = Facts("one", folders={layout.NGINX_SITE: there})
    [found] = misplaced_files(facts, [layout.NGINX_SITE])
    assert found.code == "not_a_file"


def test_a_links_target_stays_in_its_line() -> None:
    facts = Facts("one", files={layout.HTPASSWD: _file(layout.HTPASSWD, b"x", "/srv/a\nb\x1b[2J")})
    [found] = misplaced_files(facts)
    assert found.message.isprintable()


@pytest.mark.parametrize(
    ("status", "step", "how"),
    [
        ("", "drain", "done"),
        ("interrupted", "drain", "done"),
        ("", "record", "interrupted"),
        ("failed", "drain", "failed"),
        ("done", "drain", "done"),
    ],
)
def test_a_run_that_died_after_recording_is_done(status: str, step: str, how: str) -> None:
    assert (
        how_it_ended(
            RunRecord("id", False, 0.0, step, read_result(status, ("",)) if status else None)
        )
        == how
    )
