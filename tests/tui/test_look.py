"""Every screen as it looks: readable in every theme, whole at every size, in a sensible order."""

from __future__ import annotations

import pytest
from contrast import LEAST, contrast, drawn_on, invisible_lines, low_contrast_texts
from fake_server import FakeServers
from opening import opened
from rich.color import ColorSystem
from textual.color import Color
from textual.widgets import TextArea
from thorough import IS_THOROUGH
from walk import every_screen
from wizard_driver import Wizard

from tui import theme
from tui.widgets.field import Field
from tui.wizard.frame import WizardFrame

TEXTS = ("foreground", "text-muted", "text-success", "text-warning", "text-error", "text-accent")
GROUNDS = ("background", "surface", "panel", "selection")
SYNTAX = ("comment", "name", "value", "number", "keyword")
SIGNS = {
    "servers": "●",
    "users, staged": "+ added",
    "change failed": "✗",
    "review, file": "+",
    "apply, failed": "✗",
    "done, failed": "✗",
    "dashboard, users": "disabled",
    "dashboard, activity": "✗ delete",
    "dashboard, runs": "✗ failed",
    "images, tag": "✗ bad",
    "images, error": "✗",
}
"""What says how something is on a screen, besides its colour."""
DIFF_GROUNDS = ("surface", "diff-add", "diff-remove", "diff-add-word", "diff-remove-word")


def _pairs() -> list[tuple[str, str]]:
    pairs = [(text, ground) for text in TEXTS for ground in GROUNDS]
    pairs += [(f"syntax-{part}", ground) for part in SYNTAX for ground in DIFF_GROUNDS]
    pairs += [("foreground", ground) for ground in DIFF_GROUNDS]
    pairs += [("text-muted", ground) for ground in DIFF_GROUNDS[:3]]
    return [*pairs, ("on-accent", "accent"), ("foreground", "edge")]


@pytest.mark.parametrize("which", theme.THEMES, ids=lambda each: each.name)
def test_every_pair_of_the_theme_is_readable(which: theme.Theme) -> None:
    colours = {**which.to_color_system().generate(), **which.variables}
    bad = []
    for text, ground in _pairs():
        if which is theme.SIXTEEN and ground == "edge":
            continue  # hovering, which such terminals rarely have
        ratio = contrast(Color.parse(colours[text]).rgb, Color.parse(colours[ground]).rgb)
        if ratio < LEAST:
            bad.append(f"{text} {colours[text]} on {ground} {colours[ground]}: {ratio:.2f}")
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(
    ("size", "name"),
    [((80, 24), theme.DARK.name), ((120, 40), theme.LIGHT.name), ((80, 24), theme.SIXTEEN.name)],
)
async def test_every_screen_is_readable_and_whole(size: tuple[int, int], name: str) -> None:
    colours = ColorSystem.STANDARD if name == theme.SIXTEEN.name else ColorSystem.TRUECOLOR
    bad, seen = [], set()
    async for screen, wizard in every_screen(size, name):
        drawn, text = drawn_on(wizard.app), wizard.text
        bad += [f"{screen}: {each}" for each in low_contrast_texts(drawn, colours)]
        bad += [f"{screen}: {each}" for each in invisible_lines(drawn, colours)]
        assert len(text.splitlines()) == size[1], screen
        for widget in wizard.app.screen.query("Button, Input, KeyFooter, HeaderBar"):
            is_shown = widget.region.area and widget.display
            if is_shown and widget.region.right > size[0]:
                bad.append(f"{screen}: {widget} is wider than the terminal")
        if screen in SIGNS:
            seen.add(screen)
            if SIGNS[screen] not in text:
                bad.append(f"{screen}: {SIGNS[screen]} is missing")
        if name == theme.DARK.name:
            await _resize(wizard, screen)
    assert not bad, "\n".join(bad)
    assert seen == set(SIGNS)


async def _resize(wizard: Wizard, screen: str) -> None:
    """Resize the terminal under a screen, and back; what was there is there again."""
    before = wizard.text
    size = tuple(wizard.app.size)
    for each in ((40, 10), *([(200, 50)] if IS_THOROUGH else []), size):
        await wizard.pilot.resize_terminal(*each)
        await wizard.until(lambda: _is_drawn_at(wizard, each), f"{screen} is drawn at {each}")  # noqa: B023
    await wizard.see(before.splitlines()[0])


def _is_drawn_at(wizard: Wizard, size: tuple[int, int]) -> bool:
    return wizard.app.size == wizard.app.screen.size == size and bool(wizard.text.strip())


def test_a_terminal_with_16_colours_gets_the_theme_for_it() -> None:
    assert theme.usual_theme("standard") == theme.SIXTEEN.name
    assert theme.usual_theme("truecolor") == theme.DARK.name


async def test_the_text_of_a_step_reads_in_order(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter", "alt+3", "down")
        frame = wizard.app.screen
        assert isinstance(frame, WizardFrame)
        read: list[str] = []
        for widget in frame.pane.walk_children():
            if isinstance(widget, Field) and _is_shown(widget):
                read.append(widget.label)
        assert read == [
            "Bucket", "Region", "Endpoint", "Access key", "Secret key", "Prefix",
            "Schedule", "Grace period", "Spare pushes of", "Keep in trash", "Spare pulls of",
        ]  # fmt: skip
        order = [widget for widget in frame.focus_chain if _is_shown(widget)]
        places = [(widget.region.y, widget.region.x) for widget in order
                  if frame.pane in widget.ancestors]  # fmt: skip
        assert places == sorted(places)


def _is_shown(widget: object) -> bool:
    return all(node.display for node in widget.ancestors_with_self)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [each.name for each in theme.THEMES])
async def test_the_focused_button_is_visible_without_colours(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened() as wizard:
        wizard.app.theme = name
        await wizard.press("enter")
        await wizard.press("tab")
        await wizard.see("▌  Add a server  ▐")
        await wizard.press("tab", "tab")
        await wizard.see("▌  Next   ▐")
        assert "▌  Add" not in wizard.text


@pytest.mark.parametrize("name", [each.name for each in theme.THEMES])
async def test_the_focused_field_is_visible_without_colours(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened() as wizard:
        wizard.app.theme = name
        await wizard.see("▌ New deployment")
        await wizard.press("down")
        await wizard.see("▌ Open an answers file", "  New deployment")
        assert "▌ New" not in wizard.text
        await wizard.press("up", "enter")
        await wizard.see("Registry name   ▌e.g. registry.example.com")
        await wizard.press("tab")
        await wizard.see("Registry name    e.g. registry.example.com")
        await wizard.press("alt+6")
        await wizard.see("▌(•) The distribution's package")
        await wizard.press("tab")
        await wizard.see("Port            ▌default: 443", " (•) The distribution's package")
        await wizard.press("tab", "tab", "tab")
        await wizard.see("▌[x] Redirect HTTP", "Port             default: 443")
        await wizard.press("tab", "tab")
        area = wizard.app.focused
        assert isinstance(area, TextArea)
        assert wizard.text.splitlines()[area.region.y][area.region.x] == "▌"
        await wizard.press("tab")
        assert wizard.text.splitlines()[area.region.y][area.region.x] == " "


def test_errors_and_hints_differ_with_16_colours() -> None:
    kinds = ("text-error", "text-muted", "text-warning", "text-success")
    colours = [Color.parse(theme.SIXTEEN.variables[kind]).rich_color for kind in kinds]
    assert len({colour.downgrade(ColorSystem.STANDARD).number for colour in colours}) == len(kinds)
