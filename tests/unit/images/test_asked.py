"""Requests in nginx's log, followed while it is rotated."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage.images.asked import Asked, LogLostError

DIGEST = f"sha256:{'a' * 64}"


def line(method: str, path: str, status: int = 200) -> str:
    fields = ("2026-03-01T10:00:00+00:00", "ana", str(status), method, f"/v2/{path}", "192.0.2.1")
    return "\t".join((*fields, "10", "0.1", "docker", "unix:/run/x")) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log = tmp_path / "moorage.log"
    log.write_text(line("HEAD", "app/manifests/before"))
    return log


def add(log: Path, *lines: str) -> None:
    with log.open("a") as file:
        file.write("".join(lines))


def test_what_exists_and_was_asked_for(log: Path) -> None:
    asked = Asked(log)
    add(
        log,
        line("HEAD", f"team/app/blobs/{DIGEST}"),
        line("GET", "app/manifests/v1?x=1", 304),
        line("HEAD", "app/manifests/missing", 404),
        line("PUT", "app/manifests/v2", 201),
        line("GET", "app/tags/list"),
        line("POST", "app/blobs/uploads/", 202),
    )
    assert asked.read() == {("team/app", DIGEST), ("app", "v1")}
    half = line("GET", "app/manifests/half")
    add(log, half[:40])
    assert len(asked.read()) == 2
    add(log, half[40:])
    assert ("app", "half") in asked.read()


def test_the_log_is_followed_when_it_is_rotated(log: Path) -> None:
    asked = Asked(log)
    add(log, line("GET", "app/manifests/1"))
    before = log.rename(log.with_name("moorage.log.1"))
    log.write_text(line("GET", "app/manifests/2"))
    assert asked.read() == {("app", "1"), ("app", "2")}
    add(before, line("GET", "app/manifests/late"))
    add(log, line("GET", "app/manifests/3"))
    assert asked.read() == {("app", "1"), ("app", "2"), ("app", "late"), ("app", "3")}


def test_a_log_that_is_not_complete_is_noticed(log: Path) -> None:
    asked = Asked(log)
    log.write_text("")
    with pytest.raises(LogLostError):
        asked.read()
    asked = Asked(log)
    log.rename(log.with_name("moorage.log.2"))
    log.with_name("moorage.log.1").write_text("")
    log.write_text("")
    with pytest.raises(LogLostError):
        asked.read()
