"""Fixtures for the command line: an operator's home, an answers file, and fake servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from calls import PASSWORD, Moorage, Outcome, write_answers
from fake_server import FakeServers

from moorage.cli.main import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the operator a home of their own, and a shell with one password in it."""
    for name in ("NO_COLOR", "FORCE_COLOR", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MOORAGE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("CI_PW", PASSWORD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def moorage(capfd: pytest.CaptureFixture[str]) -> Moorage:
    """Call the command line in this process."""

    def call(*words: str) -> Outcome:
        capfd.readouterr()
        code = main(words)
        stdout, stderr = capfd.readouterr()
        return Outcome(code, stdout, stderr)

    return call


@pytest.fixture
def answers_file(home: Path) -> Path:
    """Answers for one server whose users' passwords are all known."""
    return write_answers(home / "moorage.yml", ["one.example.test"])


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServers]:
    """Put fake servers in the place of SSH; nothing else of the engine is replaced."""
    servers = FakeServers("192.0.2.7")
    monkeypatch.setattr("moorage.servers.connect.open_transport", servers.open)
    yield servers
    servers.end()
