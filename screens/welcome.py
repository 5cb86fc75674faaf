"""The start: a new deployment, a file, or one of the recent ones."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from tui import keeping
from tui.messages import OpenFile, OpenNew
from tui.widgets.dialog import TextDialog
from tui.widgets.header import HeaderBar

_INTRODUCTION = (
    "A private Docker registry on servers you own: behind TLS, with users of its own, "
    "reached with docker login."
)


class WelcomeScreen(Screen[None]):
    """Lists what can be opened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", show=False),
        Binding("n", "new", "New"),
        Binding("o", "file", "Open a file"),
        Binding("d,delete", "forget", "Take off the list"),
        Binding("escape,ctrl+q", "app.leave", "Leave"),
    ]
    DEFAULT_CSS = """
    WelcomeScreen #welcome { padding: 1 3; height: 1fr; max-width: 100; }
    WelcomeScreen #introduction { height: auto; margin-bottom: 1; color: $text-muted; }
    WelcomeScreen OptionList {
        height: auto; max-height: 100%; background: $background; border: none; padding: 0;
    }
    WelcomeScreen OptionList:focus { border: none; background-tint: $foreground 0%; }
    """

    def compose(self) -> ComposeResult:
        yield HeaderBar("private Docker registries, from a terminal")
        with Vertical(id="welcome"):
            yield Static(_INTRODUCTION, id="introduction")
            yield OptionList()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Read the recents."""
        self._list()
        self.query_one(OptionList).focus()

    def on_screen_resume(self) -> None:
        """Something may have been opened since."""
        self._list()

    def _list(self) -> None:
        options = self.query_one(OptionList)
        place = options.highlighted or 0
        options.clear_options()
        options.add_option(Option(_line("New deployment", "answer a few questions"), id="new"))
        options.add_option(Option(_line("Open an answers file", "a .yml saved before"), id="file"))
        recents = keeping.recents()
        if recents:
            options.add_option(None)
        for each in recents:
            state = "not saved yet" if each.is_draft else each.state or "not applied yet"
            where = "" if each.is_draft else f" · {each.path}"
            title = each.domain or "unnamed"
            detail = f"{state} · {each.when}{where}"
            options.add_option(Option(_line(title, detail), id=f"recent:{each.path}"))
        options.highlighted = min(place, options.option_count - 1)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        chosen = event.option.id or ""
        if chosen == "new":
            self.action_new()
        elif chosen == "file":
            self.action_file()
        else:
            self.post_message(OpenFile(chosen.removeprefix("recent:")))

    def action_new(self) -> None:
        """Start a new deployment."""
        self.post_message(OpenNew())

    def action_file(self) -> None:
        """Ask for a file and open it."""

        def opened(path: str | None) -> None:
            if path:
                self.post_message(OpenFile(path))

        self.app.push_screen(
            TextDialog("Open an answers file", "File", help_text="Its path", accept="Open"), opened
        )

    def action_forget(self) -> None:
        """Take the highlighted deployment off the list; its file stays."""
        from pathlib import Path

        options = self.query_one(OptionList)
        if options.highlighted is None:
            return
        chosen = options.get_option_at_index(options.highlighted).id or ""
        if chosen.startswith("recent:"):
            keeping.forget(Path(chosen.removeprefix("recent:")))
            self._list()


def _line(title: str, detail: str) -> Content:
    return Content.styled(title, "bold") + Content("  ") + Content.styled(detail, "$text-muted")
