"""Taking back what a run added, where systemd or a program says something that is hard to time."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path("templates/shell/run").resolve()
SYSTEMCTL = """#!/bin/sh
case "$1" in
show) printf 'UnitFileState=enabled\\nActiveState=active\\n' ;;
*) echo "$*" >>calls ;;
esac
"""


def _run(folder: Path, script: str) -> str:
    """Run shell code with the functions of a run; return what it prints."""
    (folder / "systemctl").write_text(SYSTEMCTL)
    (folder / "systemctl").chmod(0o755)
    head = f'PATH=.:$PATH; state=.; tab=$(printf "\\t"); . {SCRIPTS}/additions.sh; '
    return subprocess.run(
        ["sh", "-uc", head + script], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize(
    ("before", "calls"),
    [
        ("active", ""),
        ("inactive", "stop nginx.service\n"),
        ("failed", "stop nginx.service\n"),
        ("reloading", ""),
        ("activating", ""),
    ],
)
def test_only_a_service_that_was_stopped_is_stopped_again(
    tmp_path: Path, before: str, calls: str
) -> None:
    (tmp_path / "calls").touch()
    (tmp_path / "units").write_text(f"nginx.service\tenabled\t{before}\n")
    assert _run(tmp_path, "is_rolled_back=yes; restore_units; echo $is_rolled_back") == "yes\n"
    assert (tmp_path / "calls").read_text() == calls


def test_an_account_that_could_not_be_created_need_not_be_removed(tmp_path: Path) -> None:
    script = """
        plan_account=moorage-nobody-has plan_storage_folder=- added_account=yes is_rolled_back=yes
        remove_account
        echo $is_rolled_back"""
    assert _run(tmp_path, script) == "yes\n"
