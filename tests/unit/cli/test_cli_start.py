"""What starting costs: nothing heavy is loaded before it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from calls import Moorage, write_answers

import moorage as package
from moorage.cli.commands import _COMMANDS
from moorage.cli.commands import moorage as group

SOURCE = str(Path(package.__file__).parents[1])
SUPPORT = str(Path(__file__).parents[2] / "support")
HEAVY = (
    "pydantic", "jinja2", "paramiko", "textual", "boto3", "rich", "cryptography", "yaml", "dns",
    "lexicon", "requests",
)  # fmt: skip

FAKES = (
    f"sys.path.insert(0, {str(Path(__file__).parents[2] / 'support')!r}); import fake_server; "
    "import moorage.servers.connect as connect; "
    "connect.open_transport = fake_server.FakeServers().open; "
)
"""Replaces SSH with fake servers."""


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": SOURCE}


def _loaded(*calls: list[str], more: str = "", modules: str = "sys.modules") -> set[str]:
    """Return the modules that are loaded after calls, or those that an expression lists."""
    code = (
        f"import sys; from moorage.cli.main import main; {more}"
        f"code = max(main(words) for words in {calls!r}); "
        f"names = set({modules}); names |= {{name.partition('.')[0] for name in names}}; "
        "print('LOADED', int(code), *sorted(names))"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment()
    )
    _, exit_code, *names = completed.stdout.splitlines()[-1].split()
    assert exit_code == "0", completed.stderr
    return set(names)


def test_help_loads_nothing_heavy() -> None:
    calls = [["--help"], ["--version"], *([name, "--help"] for name in _COMMANDS)]
    assert _loaded(*calls).isdisjoint(HEAVY)


def test_a_headless_apply_loads_no_unused_modules(home: Path) -> None:
    file = write_answers(home / "two.yml", ["one.example.test", "two.example.test"])

    loaded = _loaded(["apply", str(file), "--yes", "--no-verify"], more=FAKES)

    assert {"pydantic", "jinja2"} <= loaded
    assert loaded.isdisjoint(
        {"textual", "boto3", "botocore", "lexicon", "requests", "rich", "tui", "screens"}
    )


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_modules_needed_after_connecting_load_later(command: str, home: Path) -> None:
    file = write_answers(home / "one.yml", ["one.example.test"])
    noting = (
        "before = []; open_fake = connect.open_transport; "
        "connect.open_transport = "
        "lambda *words: (before.extend(sys.modules), open_fake(*words))[1]; "
    )

    words = [command, str(file), *(["--yes", "--no-verify"] if command == "apply" else [])]
    loaded = _loaded(words, more=FAKES + noting, modules="before")

    assert {"pydantic", "moorage.deploy.deployment"} <= loaded
    assert loaded.isdisjoint(
        {
            "jinja2", "dns", "cryptography", "rich", "bcrypt",
            "moorage.deploy.materials", "moorage.deploy.plan.planning",
            "moorage.deploy.run.rollout", "moorage.servers.facts",
        }
    )  # fmt: skip


def test_every_command_says_what_it_changes_and_shows_an_example() -> None:
    context = click.Context(group)
    for name, lazy in _COMMANDS.items():
        command = group.get_command(context, name)
        assert command is not None
        if not lazy.hidden:
            assert command.help
            assert lazy.summary.endswith(".")
            assert "hange" in command.help, "it says what it changes"
            assert f"  moorage {name}" in (command.epilog or "")


def test_help_shows_examples_line_by_line(moorage: Moorage) -> None:
    shown = moorage("plan", "--help").stdout

    assert "    moorage plan moorage.yml --diff\n" in shown
    assert "\\b" not in shown


@pytest.mark.parametrize("name", ["certificate", "dns", "failover", "images"])
def test_a_group_without_a_command_names_its_commands(moorage: Moorage, name: str) -> None:
    outcome = moorage(name)

    assert outcome.code == 2
    assert f"Error: 'moorage {name}' needs one of its commands: " in outcome.stderr
    assert outcome.stderr.endswith(f". See 'moorage {name} --help'.\n")
    assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("ap", "plain,apply"), ("m", "file,m"), ("apply --pass", "plain,--passwords-to")],
)
def test_the_shell_completes(typed: str, offered: str) -> None:
    words = f"moorage {typed}"
    completion = {
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "_MOORAGE_COMPLETE": "bash_complete",
    }

    completed = subprocess.run(
        [sys.executable, "-c", "from moorage.cli.main import main; main()"],
        capture_output=True, text=True, check=True, env=_environment() | completion,
    )  # fmt: skip

    assert offered in completed.stdout.splitlines()


def test_help_names_every_command_and_every_exit_code(moorage: Moorage) -> None:
    outcome = moorage("--help")

    assert outcome.code == 0
    for name, lazy in _COMMANDS.items():
        assert (f"  {name} " in outcome.stdout) is not lazy.hidden
    for code in ("0 done", "1 failed", "2 wrong", "3 the", "4 cannot", "5 done", "130 interrupted"):
        assert code in outcome.stdout


def test_a_misspelt_command_suggests_the_right_one(moorage: Moorage) -> None:
    assert "Did you mean apply?" in moorage("aply", "moorage.yml").stderr


def test_without_a_terminal_the_wizard_names_the_headless_commands(
    moorage: Moorage, answers_file: Path
) -> None:
    for words in ([], [str(answers_file)]):
        outcome = moorage(*words)
        assert outcome.code == 2
        assert "moorage apply FILE --yes" in outcome.stderr
