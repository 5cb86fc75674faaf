"""Every argument and every field of the answers that names a local file, given unusable paths."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest
import yaml
from calls import Moorage, write_answers
from fake_server import FakeServers
from odd_files import FAULTS, NUL, odd_paths
from pydantic import BaseModel

from moorage import local_file
from moorage.answers.fields import OPERATOR_ONLY
from moorage.answers.model import Answers
from moorage.cli.commands import moorage as group

ROOT = Path(__file__).parents[3]
KINDS = [kind for kind in FAULTS if kind != NUL]
PIPE_FAULT = "is a pipe that no program finished writing to within 0.05 seconds"
MORE_WORDS = {
    "users access": ["--access", "push"],
    "users import": ["--access", "pull", "--from-server-file"],
    "failover install": ["--on", "one.example.test"],
    "failover status": ["--on", "one.example.test"],
    "failover uninstall": ["--on", "one.example.test"],
}
"""What a command needs besides FILE, --yes and other arguments."""
GIVEN_OTHERWISE = ("push|pull", "[HTPASSWD_FILE]")
"""Arguments that options in MORE_WORDS replace."""
LOCAL_FILES = {
    "registry.image_archive": {"registry": {"runtime": "docker"}},
    "servers.key": {},
    "hooks.script": {"hooks": [{"name": "a", "when": ["before_apply"]}]},
    "ssl.files.certificate": {"ssl": {"mode": "files", "files": {"key": "good.pem"}}},
    "ssl.files.key": {"ssl": {"mode": "files", "files": {"certificate": "good.pem"}}},
    "ssl.acme.ca_file": {"ssl": {"mode": "acme"}},
}
"""By field that names a local file: the other answers that make Moorage read it."""


@pytest.fixture(autouse=True)
def quick_pipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for pipes for a moment only."""
    monkeypatch.setattr(local_file, "PIPE_TIMEOUT", 0.05)


def _commands(
    parent: click.Group = group, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(parent)
    for name in parent.list_commands(context):
        command = parent.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _commands(command, (*names, name))
        elif command is not None:
            yield (*names, name), command


def _paths(command: click.Command) -> list[click.Parameter]:
    return [each for each in command.params if isinstance(each.type, click.Path)]


def _more_words(name: str, command: click.Command) -> list[str]:
    words = MORE_WORDS.get(name, [])
    metavar = next((str(each.metavar) for each in _paths(command) if each.name == "words"), "")
    words = ["x" for each in metavar.split()[1:] if each not in GIVEN_OTHERWISE] + words
    if any(each.name == "yes" for each in command.params):
        words = [*words, "--yes"]
    return words


FILE_COMMANDS = {
    " ".join(names): command
    for names, command in _commands()
    if any(isinstance(each, click.Argument) for each in _paths(command))
}
KEY_COMMANDS = {
    name: command
    for name, command in FILE_COMMANDS.items()
    if any(each.name == "addresses" for each in command.params)
}


def _fault(kind: str, *, pipes: bool) -> str:
    return PIPE_FAULT if pipes and kind == "pipe" else FAULTS[kind]


@pytest.mark.parametrize("name", FILE_COMMANDS)
def test_every_command_explains_an_unusable_answers_file(
    moorage: Moorage, tmp_path: Path, servers: FakeServers, name: str
) -> None:
    words = _more_words(name, FILE_COMMANDS[name])
    paths = odd_paths(tmp_path)
    for kind in KINDS:
        outcome = moorage(*name.split(), paths[kind], *words)

        assert outcome.code == 2, (kind, outcome)
        assert _fault(kind, pipes=True) in outcome.stderr.replace("\n", " "), (kind, outcome)
        assert "answers file" in outcome.stderr, (kind, outcome)


def test_the_wizard_explains_an_unusable_answers_file(moorage: Moorage, tmp_path: Path) -> None:
    for kind, path in odd_paths(tmp_path).items():
        if kind in KINDS:
            for words in ([path], ["users", path], ["--web", path]):
                outcome = moorage(*words)

                assert outcome.code == 2, (kind, outcome)
                assert FAULTS[kind] in outcome.stderr, (kind, outcome)


def test_an_unusable_htpasswd_file_is_explained(
    moorage: Moorage, answers_file: Path, tmp_path: Path, servers: FakeServers
) -> None:
    paths = odd_paths(tmp_path)
    for kind in KINDS:
        outcome = moorage("users", "import", str(answers_file), paths[kind], "--access", "pull")

        assert outcome.code == 2, (kind, outcome)
        assert _fault(kind, pipes=True) in outcome.stderr, (kind, outcome)


@pytest.mark.parametrize("option", ["--certificate", "--key"])
def test_an_unusable_new_certificate_is_explained(
    moorage: Moorage, answers_file: Path, tmp_path: Path, option: str
) -> None:
    (tmp_path / "good.pem").write_bytes(b"")
    files = {"certificate": "good.pem", "key": "good.pem"}
    _change(answers_file, {"ssl": {"mode": "files", "files": files}})
    paths = odd_paths(tmp_path) | {"not UTF-8": "\udcff"}
    for kind in KINDS:
        outcome = moorage("certificate", "replace", str(answers_file), option, paths[kind], "--yes")

        assert outcome.code == 2, (kind, outcome)
        fault = "is not UTF-8" if kind == "not UTF-8" else FAULTS[kind]
        assert fault in outcome.stderr, (kind, outcome)


@pytest.mark.parametrize("name", KEY_COMMANDS)
def test_every_command_explains_an_unusable_key(
    moorage: Moorage, tmp_path: Path, name: str
) -> None:
    words = _more_words(name, KEY_COMMANDS[name])
    paths = odd_paths(tmp_path) | {"not UTF-8": "\udcff"}
    (tmp_path / "\udcff").write_bytes(b"")
    for kind in KINDS:
        server = ["--server", "root@192.0.2.7", "--key", paths[kind]]
        outcome = moorage(*name.split(), *server, *words)

        assert outcome.code == 2, (kind, outcome)
        fault = "is not UTF-8" if kind == "not UTF-8" else FAULTS[kind]
        assert fault in outcome.stderr, (kind, outcome)


@pytest.mark.parametrize("words", [["apply", "--passwords-to"], ["users", "export", "--to"]])
def test_an_unusable_output_file_is_explained(
    moorage: Moorage, answers_file: Path, tmp_path: Path, servers: FakeServers, words: list[str]
) -> None:
    paths = odd_paths(tmp_path)
    *command, option = words
    for kind in KINDS:
        more = ["--yes"] if command == ["apply"] else []
        outcome = moorage(*command, str(answers_file), option, paths[kind], *more)

        if kind not in {"missing", "not UTF-8"}:
            assert outcome.code in {1, 2}, (kind, outcome)
            assert "Internal error" not in outcome.stderr, (kind, outcome)


def _change(file: Path, sections: dict[str, Any]) -> None:
    answers = yaml.safe_load(file.read_text())
    for name, section in sections.items():
        answers[name] = answers.get(name, {}) | section if isinstance(section, dict) else section
    file.write_text(json.dumps(answers))


def _set(answers: dict[str, Any], path: str, value: object) -> None:
    *sections, last = path.split(".")
    place: Any = answers
    for name in sections:
        place = place.setdefault(name, {})
        place = place[0] if isinstance(place, list) else place
    place[last] = value


def _local_paths(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Yield the fields of the answers that name local files."""
    for name, field in model.model_fields.items():
        path = f"{before}.{name}".lstrip(".")
        marks = [*field.metadata, *_parts(field.annotation)]
        if OPERATOR_ONLY in marks and "max_length=4096" in repr(marks):
            yield path
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _local_paths(part, path)


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def test_all_fields_with_local_files_are_tested() -> None:
    assert set(LOCAL_FILES) == set(_local_paths(Answers))


@pytest.mark.parametrize("command", [["validate", "--headless"], ["plan"]])
@pytest.mark.parametrize("field", LOCAL_FILES)
def test_an_unusable_file_in_the_answers_is_explained(
    moorage: Moorage,
    answers_file: Path,
    tmp_path: Path,
    servers: FakeServers,
    field: str,
    command: list[str],
) -> None:
    if command == ["plan"] and field == "servers.key":
        pytest.skip("the fake servers need no key")
    (tmp_path / "good.pem").write_bytes(b"")
    paths = odd_paths(tmp_path)
    good = json.dumps(yaml.safe_load(answers_file.read_text()))
    for kind in KINDS:
        answers_file.write_text(good)
        _change(answers_file, LOCAL_FILES[field])
        answers = json.loads(answers_file.read_text())
        _set(answers, field, paths[kind])
        answers_file.write_text(json.dumps(answers))
        outcome = moorage(*command, str(answers_file))

        assert outcome.code == 2, (kind, outcome)
        if kind != "not UTF-8":  # answers cannot have it
            assert FAULTS[kind] in outcome.stderr.replace("\n", " "), (kind, outcome)


@pytest.mark.parametrize("command", [["validate", "--headless"], ["plan"]])
def test_an_unusable_file_with_a_secret_is_explained(
    moorage: Moorage, tmp_path: Path, servers: FakeServers, command: list[str]
) -> None:
    paths = odd_paths(tmp_path)
    if command[0] == "validate":
        del paths["pipe"]  # which can be read only once
    for kind in filter(paths.get, KINDS):
        reference = json.dumps({"file": paths[kind]})
        file = write_answers(tmp_path / "moorage.yml", ["one.example.test"], reference)
        outcome = moorage(*command, str(file))

        assert outcome.code == 2, (kind, outcome)
        if kind != "not UTF-8":
            assert _fault(kind, pipes=True) in outcome.stderr, (kind, outcome)


def test_answers_from_a_pipe_are_read_once(tmp_path: Path) -> None:
    file = write_answers(tmp_path / "moorage.yml", ["one.example.test"], "{env: UNSET_PW}")
    call = f"{sys.executable} -m moorage validate"
    words = ["bash", "-c", f"{call} <(cat {file}) && {call} --headless <(cat {file})"]

    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60, cwd=ROOT)

    assert "the answers are valid" in done.stdout
    assert done.returncode == 2
    assert "variable UNSET_PW is not set" in done.stderr
