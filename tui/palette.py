"""What the command palette offers: every action of the screen, and some that are everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from textual.app import App, SystemCommand
from textual.screen import Screen

from tui import theme

_QUIET = {"command_palette", "app.focus_next", "app.focus_previous", "move(1)", "move(-1)",
          "suggest(1)", "suggest(-1)", "open", "cursor_up", "cursor_down", "help_quit", "press",
          "leave", "app.leave", "copy_text", "screen.copy_text", "select", "enter",
          "home", "end"}  # fmt: skip

_MOVES = ("cursor_", "delete_", "select_", "scroll_", "page_", "toggle_node")


def commands_of_screen(app: App[Any], screen: Screen[Any]) -> Iterable[SystemCommand]:
    """Yield a command for every action that can be taken here by a key.

    Args:
        app: The application.
        screen: The screen under the palette.
    """
    seen: set[str] = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        name = binding.action.rpartition(".")[2] if "(" not in binding.action else binding.action
        title = binding.description
        if not title or name in _QUIET or binding.action in _QUIET or not active.enabled:
            continue
        if title in seen or name.startswith(_MOVES):
            continue
        if _is_of_an_input(active.node):
            continue
        seen.add(title)
        about = f"{binding.tooltip}. " if binding.tooltip else ""
        run = partial(_run, app, binding.action, active.node)
        yield SystemCommand(title, f"{about}Key {key_in_words(app.get_key_display(binding))}", run)


def key_in_words(shown: str) -> str:
    """Return a key of the footer in words: ``^b`` is Ctrl+B."""
    words = {"⏎": "Enter", "esc": "Escape", "↑↓": "up or down"}
    if shown.startswith("^"):
        return f"Ctrl+{shown[1:].upper()}"
    return words.get(shown, shown.capitalize() if len(shown) > 1 else shown)


def _is_of_an_input(node: object) -> bool:
    """Whether keys are those of editing text, which nobody looks for in a palette."""
    return type(node).__name__ in {"FieldInput", "Input", "TextArea"}


def _run(app: App[Any], action: str, node: Any) -> None:
    app.call_later(app.run_action, action, node)


def theme_commands(app: App[Any]) -> Iterable[SystemCommand]:
    """Yield a command for every theme that is not in use."""
    words = {
        theme.DARK.name: ("Use the dark theme", "For dark terminals"),
        theme.LIGHT.name: ("Use the light theme", "For light terminals"),
        theme.SIXTEEN.name: ("Use the theme with 16 colours", "For terminals with few colours"),
    }
    for name, (title, about) in words.items():
        if name != app.theme:
            yield SystemCommand(title, about, _setter(app, name))


def _setter(app: App[Any], name: str) -> Callable[[], None]:
    def use() -> None:
        app.theme = name

    return use
