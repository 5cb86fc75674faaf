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


ENGINE = """#!/bin/sh
case "$1 $2" in
"image inspect")
    echo asked >>asked
    [ "$(wc -l <asked)" -gt "$FAILS" ] && cat image
    ;;
"images -q") [ "$FAILS" != 9 ] ;;
load*) echo "sha256:new" >image; echo "Loaded image: registry:2" ;;
tag*) echo "$2" >image ;;
rmi*) rm image ;;
esac
"""


@pytest.mark.parametrize(
    ("fails", "before", "after"),
    [
        (0, "sha256:old\n", "sha256:old\n"),
        # The engine did not answer once.
        (1, "sha256:old\n", "sha256:old\n"),
        (0, None, None),
        # It never does: the image is not replaced.
        (9, "sha256:old\n", "sha256:old\n"),
    ],
)
def test_a_rollback_restores_the_image_even_if_the_engine_does_not_always_answer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fails: int,
    before: str | None,
    after: str | None,
) -> None:
    monkeypatch.setenv("FAILS", str(fails))
    (tmp_path / "engine").write_text(ENGINE)
    (tmp_path / "engine").chmod(0o755)
    (tmp_path / "image.tar").touch()
    if before is not None:
        (tmp_path / "image").write_text(before)
    script = f"""
        . {SCRIPTS}/packages.sh
        plan_engine=engine plan_image=registry:2 plan_loaded_image=- is_rolled_back=yes remaining=
        exec 3>&1
        fail() {{ echo "$1" >&3; restore_image; remove_image; exit; }}
        load_image >/dev/null
        fail rolled_back"""

    reported = _run(tmp_path, script)

    assert reported.split()[-1] == ("rolled_back" if fails < 9 else "image_state_unknown")
    image = tmp_path / "image"
    assert (image.read_text() if image.exists() else None) == after
