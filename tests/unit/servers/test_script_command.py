"""The command line that every script starts with, in every shell there is."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from moorage.servers import script_command

SHELLS = [["sh"], ["dash"], ["bash"], ["busybox", "sh"], ["zsh"], ["ksh"], ["csh"], ["fish"]]


def found(*names: str) -> list[list[str]]:
    return [shell for shell in SHELLS if shutil.which(shell[0])]


@pytest.mark.parametrize("login_shell", found(), ids=" ".join)
def test_every_login_shell_starts_it(login_shell: list[str]) -> None:
    line = script_command.command_line(script_command.AS_ROOT)
    script = 'IFS= read -r first; echo "[$first]"; cat; exit 5'
    completed = subprocess.run(
        [*login_shell, "-c", line],
        input=b"a password\n" + script_command.preamble(script) + b" pay\\load\n\0rest",
        capture_output=True,
        check=False,
    )
    assert completed.returncode == 5
    assert completed.stdout == script_command.READY + b"[ pay\\load]\n\0rest"
    assert completed.stderr == script_command.READY


@pytest.mark.parametrize("size", [10, 5_000, 300_000])
@pytest.mark.parametrize(
    "shell", [shell for shell in found() if shell[0] in {"dash", "bash", "busybox"}], ids=" ".join
)
def test_the_payload_begins_where_the_script_ends(
    shell: list[str], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = [*shell, *script_command.AS_ROOT[1:]]
    script = "wc -c\n" + ": a comment of sorts\n" * (size // 21)
    completed = subprocess.run(
        program,
        input=script_command.preamble(script) + b"x" * 1_000_000,
        capture_output=True,
        check=True,
    )
    assert completed.stdout.split()[-1] == b"1000000"


def test_a_shell_whose_input_ends_early_reports_it() -> None:
    completed = subprocess.run(script_command.AS_ROOT, input=b"", capture_output=True, check=False)
    assert completed.returncode == script_command.NOT_STARTED


def test_scripts_can_contain_anything_but_a_null_byte() -> None:
    script = "printf '%s' \"\u00fc \\\\ $(echo 'nested') \\$no\" `echo x`\n# the end, unfinished"
    completed = subprocess.run(
        script_command.AS_ROOT,
        input=script_command.preamble(script),
        capture_output=True,
        check=True,
    )
    assert completed.stdout == script_command.READY + "\u00fc \\ nested $nox".encode()


def test_the_command_line_is_the_same_for_every_script() -> None:
    line = script_command.command_line(script_command.WITH_SUDO)
    assert line == script_command.command_line(script_command.WITH_SUDO)
    assert line.count("'") % 2 == 0
    assert not set("\\!\n") & set(line)
