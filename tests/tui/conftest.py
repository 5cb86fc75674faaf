"""Fixtures for the wizard: a home folder and fake servers."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_server import FakeServers


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, state folder and working folder."""
    (tmp_path / "ssh_config").write_text("Host alpha beta\n  User deploy\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MOORAGE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("MOORAGE_SSH_CONFIG", str(tmp_path / "ssh_config"))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("COLORFGBG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def servers() -> FakeServers:
    """The fake servers that the wizard can reach."""
    return FakeServers()
