"""Every field that names a local file, given paths that cannot be read."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from fake_server import FakeServer, FakeServers
from odd_files import FAULTS, NUL, odd_paths
from opening import opened
from test_users_screen import Fleet
from textual.widgets import Button
from walk import ANSWERS, LOGIN
from wizard_driver import Wizard

from tui.widgets.field import Field
from tui.wizard.step_pane import StepPane

READ = {kind: fault for kind, fault in FAULTS.items() if kind != "not UTF-8"}
"""A terminal sends no invalid characters."""

Open = Callable[[Wizard], Awaitable[Field]]


def _field(wizard: Wizard, path: str) -> Field:
    return next(each for each in wizard.app.screen.query(Field) if each.path.endswith(path))


async def _key(wizard: Wizard) -> Field:
    await wizard.press("alt+1", "e")
    await wizard.see("Key file")
    return _field(wizard, ".key")


async def _archive(wizard: Wizard) -> Field:
    await wizard.press("alt+6", "down")
    return _field(wizard, "image_archive")


async def _script(wizard: Wizard) -> Field:
    await wizard.press("alt+6")
    wizard.app.screen.query_one("#add").focus()
    await wizard.press("enter")
    await wizard.see("The name shown in plans")
    return _field(wizard, ".script")


FIELDS: dict[str, Open] = {"key": _key, "image archive": _archive, "hook": _script}


async def _give(wizard: Wizard, field: Field, value: str) -> None:
    field.focus()
    await wizard.pilot.pause()
    field.input.value = value
    await wizard.press("tab")


async def _until_explained(wizard: Wizard, field: Field, fault: str) -> None:
    await wizard.until(lambda: fault in field.error, f"{fault} is explained")


@pytest.mark.parametrize("name", FIELDS)
async def test_an_unusable_file_is_explained_beside_its_field(
    servers: FakeServers, home: Path, name: str
) -> None:
    paths = odd_paths(Path())
    async with opened(servers, prefill=ANSWERS, size=(120, 40)) as wizard:
        await wizard.see("1 server:")
        field = await FIELDS[name](wizard)
        for kind, fault in READ.items():
            await _give(wizard, field, paths[kind])
            expected = "control character" if kind == NUL else fault
            await _until_explained(wizard, field, expected)


async def _certificate(wizard: Wizard) -> Field:
    await wizard.press("alt+5")
    await _give(wizard, _field(wizard, "files.key"), "plain")
    return _field(wizard, "files.certificate")


async def _certificate_key(wizard: Wizard) -> Field:
    await wizard.press("alt+5")
    await _give(wizard, _field(wizard, "files.certificate"), "plain")
    return _field(wizard, "files.key")


async def _authority(wizard: Wizard) -> Field:
    await wizard.press("alt+5", "up")
    return _field(wizard, "ca_file")


def _shown(wizard: Wizard) -> str:
    """Return what the step says about its files; lines are not wrapped here."""
    pane = wizard.app.screen.query_one("#ssl", StepPane)
    statics = [*pane.query("#certificate"), *pane.query(".fault")]
    errors = [field.error for field in pane.fields]
    return "\n".join([*(str(static.render()) for static in statics), *errors])


async def _until_shown(wizard: Wizard, fault: str) -> None:
    await wizard.until(lambda: fault in _shown(wizard), f"{fault} is shown")


@pytest.mark.parametrize("opens", [_certificate, _certificate_key, _authority])
async def test_an_unusable_certificate_file_is_explained_once(
    servers: FakeServers, home: Path, opens: Open
) -> None:
    paths = odd_paths(Path())
    answers = ANSWERS | {"ssl": {"mode": "files", "files": {}}}
    async with opened(servers, prefill=answers, size=(160, 50)) as wizard:
        field = await opens(wizard)
        for kind, fault in READ.items():
            await _give(wizard, field, paths[kind])
            if kind == NUL:
                await wizard.see("control character")
                continue
            await _until_shown(wizard, fault)
            await wizard.press("ctrl+n")
            await _until_shown(wizard, fault)
            await wizard.see("How does the registry get its certificate?")
            await wizard.until(lambda: _shown(wizard).count(fault) == 1, f"{fault} is shown once")  # noqa: B023
            await wizard.until(lambda: wizard.app.focused is field.input, f"{kind} is focused")


async def test_review_and_the_step_say_a_fault_once(servers: FakeServers, home: Path) -> None:
    files = {"certificate": "none", "key": "none"}
    answers = ANSWERS | {"ssl": {"mode": "files", "files": files}}
    async with opened(servers, prefill=answers, size=(160, 50)) as wizard:
        await wizard.press("alt+7")
        await wizard.see("SSL: Certificate: the file none cannot be read")
        await wizard.press("enter")
        await wizard.see("How does the registry get its certificate?", "cannot be read")
        await wizard.press("ctrl+n")
        await wizard.until(lambda: _shown(wizard).count("cannot be read") == 1, "it is shown once")


async def test_unusable_answers_files_are_explained(servers: FakeServers, home: Path) -> None:
    paths = odd_paths(Path())
    async with opened(servers, size=(160, 50)) as wizard:
        await wizard.press("o")
        await wizard.see("Open an answers file")
        field = wizard.app.screen.query_one(Field)
        for kind, fault in READ.items():
            field.input.value = paths[kind]
            await wizard.pilot.pause()
            await wizard.press("enter")
            await _until_explained(wizard, field, fault)


def _buttons(wizard: Wizard) -> list[str]:
    return [str(button.label) for button in wizard.app.screen.query(Button)]


async def test_answers_are_not_saved_where_no_file_can_be(servers: FakeServers, home: Path) -> None:
    paths = odd_paths(Path()) | {"the null device": "/dev/null"}
    for kind in ("missing", "broken link", "loop", "not UTF-8"):
        del paths[kind]  # which can be written
    async with opened(servers, prefill=ANSWERS, size=(160, 50)) as wizard:
        await wizard.see("1 server:")
        for kind, path in paths.items():
            await wizard.press("ctrl+s")
            await wizard.see("Save the answers", "Relative to")
            wizard.app.screen.query_one(Field).input.value = path
            await wizard.press("enter")
            await wizard.until(lambda: bool({"Replace it", "Close"} & {*_buttons(wizard)}), kind)
            if "Replace it" in _buttons(wizard):
                wizard.app.screen.query_one("#accept", Button).press()
            await wizard.until(lambda: "Close" in _buttons(wizard), kind)
            assert re.search(r"cannot be|cannot exist|is not a regular", wizard.text), kind
            await wizard.press("escape")
    assert Path("/dev/null").is_char_device()


async def test_unusable_keys_for_a_login_are_explained(servers: FakeServers, home: Path) -> None:
    paths = odd_paths(Path())
    servers["alpha"] = FakeServer("alpha", login=LOGIN)
    async with opened(servers, prefill=ANSWERS, size=(160, 50)) as wizard:
        await wizard.see("Or a key file")
        field = wizard.app.screen.query_one("#key", Field)
        for kind, fault in READ.items():
            field.input.value = paths[kind]
            await wizard.pilot.pause()
            field.focus()
            await wizard.press("enter")
            await _until_explained(wizard, field, fault)


async def test_unusable_keys_for_a_connection_are_explained(
    servers: FakeServers, home: Path
) -> None:
    paths = odd_paths(Path())
    async with opened(servers, size=(160, 50)) as wizard:
        await wizard.press("c")
        await wizard.see("Key file")
        wizard.app.screen.query_one("#address", Field).input.value = "root@alpha"
        field = wizard.app.screen.query_one("#key", Field)
        for kind, fault in READ.items():
            field.input.value = paths[kind]
            await wizard.pilot.pause()
            await wizard.press("ctrl+s")
            await _until_explained(wizard, field, fault)


async def test_unusable_htpasswd_files_are_explained(servers: FakeServers, home: Path) -> None:
    paths = odd_paths(Path())
    fleet = Fleet(home, servers, ())
    async with fleet.open((160, 50)) as wizard:
        await wizard.see("0 users")
        await wizard.press("i")
        await wizard.see("Import users")
        field = wizard.app.screen.query_one("#file", Field)
        for kind, fault in READ.items():
            field.input.value = paths[kind]
            await wizard.pilot.pause()
            await wizard.press("ctrl+s")
            await _until_explained(wizard, field, fault)
