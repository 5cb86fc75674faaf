"""The Images screen on a real server, by keystrokes alone, in a real terminal of 80 by 24."""

from __future__ import annotations

import shutil

import pytest
from command_line import CommandLine
from image_client import ImageClient
from test_images_list import _image, _registry
from tmux import Terminal
from workstation import Workstation

from lab import LabServer

pytestmark = [
    pytest.mark.deployed(by_command=True),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]


def _see(terminal: Terminal, *texts: str) -> None:
    """Wait until all texts are on the screen."""
    for text in texts:
        terminal.see(text)


def test_images_are_found_opened_and_read_again(server: LabServer, call: CommandLine) -> None:
    workstation = Workstation(call.home)
    shutil.copy(call.home / ".ssh" / "known_hosts", call.home / "known_hosts")
    # Reading needs no password of the registry, so CI_PW is not set there.
    terminal = workstation.wizard("moorage.yml", size=(80, 24))
    try:
        _see(terminal, "Dashboard", "healthy")
        terminal.press("i")
        _see(terminal, "No images yet.", "docker push")
        registry = _registry(call, server)
        for number in range(3):
            _image(registry, f"v1.{number}", "amd64", [b"base" * 50_000, b"%d" % number * 9_000])
        registry.push("team-b/web", "latest", [b"page" * 1000])
        terminal.press("r")
        _see(terminal, "2 repositories by own size", "3 tags by last push", "in use", "free")
        terminal.press("/")
        terminal.type("v1.*")
        _see(terminal, "1 repository, 3 tags found")
        terminal.press("Enter", "Enter", "Enter")
        _see(terminal, "team-a/app:v1.", "Layers", "COPY 0 /", "COPY 1 /", "by ci")
        terminal.press("End")
        _see(terminal, "Labels", "team", "serve")
        terminal.press("Escape")
        _see(terminal, "1 repository, 3 tags found")
        terminal.press("Escape")
        _see(terminal, "2 repositories by own size")
        _delete_and_restore(terminal, registry)
        terminal.press("Escape")
        _see(terminal, "Dashboard")
    finally:
        terminal.close()


def _delete_and_restore(terminal: Terminal, registry: ImageClient) -> None:
    """Delete a tag by keystrokes, bring it back from the trash, and pull it."""
    before = registry.pull("team-b/web", "latest")
    terminal.press("/")
    terminal.type("web")
    _see(terminal, "1 repository, 1 tag found")
    terminal.press("Enter", "Enter", "Space")
    _see(terminal, "1 tag marked")
    terminal.press("d")
    _see(terminal, "1 tag to delete")
    terminal.press("p")
    _see(terminal, "What will be deleted", "team-b/web:latest", "Delete 1 tag")
    terminal.press("Tab", "Enter")
    _see(terminal, "Deleted 1 tag")
    assert registry.status("GET", "/v2/team-b/web/manifests/latest") == 404
    terminal.press("t")
    _see(terminal, "in the trash", "team-b/web:latest")
    terminal.press("Down", "Enter")
    _see(terminal, "Restore 1 tag")
    terminal.press("Tab", "Enter")
    _see(terminal, "Restored")
    assert registry.pull("team-b/web", "latest") == before
    terminal.press("Escape")
    _see(terminal, "2 repositories by own size")
