"""What the docs name exists: files, modules, commands with their options, make targets, links."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import package_arrows
import pytest

from moorage.cli.commands import moorage
from moorage.cli.errors import as_json
from moorage.deploy.verify.verify import CHECKS
from moorage.errors import MoorageError

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*(path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"), *ROOT.glob("docs/*.md")]
)
FOLDERS = ("moorage", "tui", "screens", "templates", "lab", "bench", "tests", "tools", "docs")


def _command(words: list[str]) -> tuple[click.Command, list[str]]:
    """Follow the words to the command they name, and return it with the words after it."""
    here: click.Command = moorage
    rest = list(words)
    while isinstance(here, click.Group) and rest:
        below = here.get_command(click.Context(here), rest[0])
        if below is None or rest[0] not in here.list_commands(click.Context(here)):
            break
        here, rest = below, rest[1:]
    return here, rest


def _options(command: click.Command) -> set[str]:
    named = {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in [*parameter.opts, *parameter.secondary_opts]
    }
    return named | {"--help", "-h"}


def _all_options(command: click.Command) -> set[str]:
    found = _options(command)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found |= _all_options(below)
    return found


@cache
def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _inline(page: Path) -> list[str]:
    """Return the code in a page's sentences."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", _text(page), flags=re.M | re.S))


def _lines_of_code(page: Path) -> list[str]:
    """Return the lines of a page's blocks of commands."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", _text(page), re.M | re.S)
    commands = [block for language, block in blocks if language in {"", "sh", "console"}]
    return [line for block in commands for line in block.splitlines()]


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", _text(page), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_package_diagram_matches_the_imports() -> None:
    page = package_arrows.PAGE.read_text(encoding="utf-8")
    assert package_arrows.updated(page) == page, "python tests/support/package_arrows.py"


def test_packages_import_in_one_direction() -> None:
    circles = [each for each in package_arrows.package_arrows() if " + " in each]
    # dns finds its providers, of which one is Route 53, and that speaks of dns' records.
    assert circles == ["moorage/cloud + moorage/dns"]


def test_the_layers_of_import_linter_name_every_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    named = {name for layer in layers for name in re.split(r" [|:] ", layer)}
    packages = {f"moorage.{path.parent.name}" for path in ROOT.glob("moorage/*/__init__.py")}
    assert packages <= named


def test_files_exist() -> None:
    missing = []
    for page in PAGES:
        for words in _inline(page):
            name = words.removesuffix("/")
            is_ours = name.split("/")[0] in FOLDERS and "/" in name and " " not in name
            is_part = re.fullmatch(r"[\w./-]+\.(py|sh|j2)", name) and not name.startswith(
                (".", "/")
            )
            if (is_ours or is_part) and not _exists(name):
                missing.append(f"{page.name}: {words}")
    assert not missing


def _exists(name: str) -> bool:
    if re.search(r"[A-Z]{3}", name) and not name.endswith(".md"):
        # A placeholder, such as screens/NAME.
        name = str(Path(name).parent)
    if (ROOT / name).exists():
        return True
    # Below a page's folder, or the end of a path whose beginning the text has named.
    return any(
        path.as_posix().endswith(f"/{name}")
        for folder in FOLDERS
        for path in (ROOT / folder).rglob(Path(name).name)
    )


def test_python_modules_exist() -> None:
    for page in PAGES:
        for module in re.findall(r"python -m ([\w.]+)", page.read_text(encoding="utf-8")):
            assert importlib.util.find_spec(module), f"{page.name}: {module}"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    for page in PAGES:
        for words in [*_inline(page), *_lines_of_code(page)]:
            if match := re.match(r"make ([a-z-]+)", words):
                assert match[1] in targets, f"{page.name}: {words}"


def test_links_have_targets() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path) if path else page
            if not file.exists() or (anchor and anchor not in _anchors(file)):
                broken.append(f"{page.name}: {target}")
    assert not broken


def test_variables_exist() -> None:
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("moorage", "tui", "screens", "templates", "tests", "lab")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".sh", ".j2"} and path != Path(__file__)
    )
    for page in PAGES:
        for name in re.findall(r"\bMOORAGE_[A-Z0-9_]+", page.read_text(encoding="utf-8")):
            assert name in code, f"{page.name}: {name}"


def _commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for words in [*_inline(page), *_lines_of_code(page)]:
            command = re.sub(r"^\$ ", "", words)
            if re.match(r"moorage( |$)", command):
                yield page.name, command


@pytest.mark.parametrize(("page", "command"), sorted(set(_commands())))
def test_commands_exist(page: str, command: str) -> None:
    assert page
    words = [word.rstrip(",") for word in shlex.split(command, comments=True)]
    known, rest = _command(words[1:])
    # The wizard's own options belong to the command that opens it.
    options = _options(known) | _options(moorage) if known is moorage else _options(known)
    for word in rest:
        if word.startswith("-") and word != "-":
            assert word.partition("=")[0] in options, word


def test_options_exist() -> None:
    every = _all_options(moorage)
    missing = [
        f"{page.name}: {words}"
        for page in PAGES
        for words in _inline(page)
        if re.match(r"--[a-z]", words) and re.split(r"[ =]", words)[0] not in every
    ]
    assert not missing


def test_the_error_in_json_has_the_keys_of_an_error() -> None:
    example = re.search(r"```json\n(.*?)^```", _text(ROOT / "docs/command-line.md"), re.M | re.S)
    assert example
    assert set(json.loads(example[1])["error"]) == set(as_json(MoorageError("x", advice="y")))


def test_every_command_is_described() -> None:
    page = (ROOT / "docs/command-line.md").read_text(encoding="utf-8")
    context = click.Context(moorage)
    assert not [name for name in moorage.list_commands(context) if f"moorage {name}" not in page]


def test_every_check_is_described() -> None:
    page = (ROOT / "docs/command-line.md").read_text(encoding="utf-8")
    assert not [key for key in CHECKS if f"`{key}`" not in page]
