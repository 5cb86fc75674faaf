"""Commands of the palette: the actions of the screen, and the themes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import App, SystemCommand
from textual.screen import Screen

from tui import theme
from tui.actions import AREAS, Action, action_of

if TYPE_CHECKING:
    from textual.binding import ActiveBinding


def actions_of_screen(screen: Screen[Any]) -> dict[Action, ActiveBinding]:
    """Return the actions with an enabled key on a screen, and the binding of each.

    Args:
        screen: The screen; its focused widget counts.
    """
    found: dict[Action, ActiveBinding] = {}
    for active in screen.active_bindings.values():
        action = action_of(active.binding)
        if action is not None and active.enabled:
            found.setdefault(action, active)
    return found


def commands_of_screen(app: App[Any], screen: Screen[Any]) -> Iterable[SystemCommand]:
    """Yield a command for every action of the screen that has a title.

    Args:
        app: The application.
        screen: The screen under the palette.
    """
    seen: set[str] = set()
    for action, active in actions_of_screen(screen).items():
        if action.title and action.title not in seen:
            seen.add(action.title)
            about = f"{action.does}. " if action.does not in {"", action.title} else ""
            run = partial(app.call_later, app.run_action, active.binding.action, active.node)
            yield SystemCommand(action.title, f"{about}Key {action.key_words}", run)


def search_words(title: str) -> str:
    """Return other words that find a command.

    Args:
        title: The command's title.
    """
    actions = (each for area in AREAS.values() for each in area.actions)
    return " ".join(dict.fromkeys(each.search for each in actions if each.title == title))


def theme_commands(app: App[Any]) -> Iterable[SystemCommand]:
    """Yield a command for every theme that is not in use."""
    words = {
        theme.DARK.name: ("Use the dark theme", "For dark terminals"),
        theme.LIGHT.name: ("Use the light theme", "For light terminals"),
        theme.SIXTEEN.name: ("Use the 16-colour theme", "For terminals with few colours"),
    }
    for name, (title, about) in words.items():
        if name != app.theme:
            yield SystemCommand(title, about, _setter(app, name))


def _setter(app: App[Any], name: str) -> Callable[[], None]:
    def use() -> None:
        app.theme = name
        try:
            theme.keep_theme(name)
        except OSError as error:
            text = f"Cannot store the choice of the theme: {error.strerror}"
            app.notify(text, severity="warning", markup=False)

    return use
