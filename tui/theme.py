"""The colours: a dark theme, its light counterpart, and one for terminals with 16 colours."""

from __future__ import annotations

import os
from collections.abc import Mapping

from textual.theme import Theme

from moorage.state import private_folder, state_folder, write_private

_CHOICE = "theme"
"""The file with the theme chosen last."""
_SYNTAX = ("comment", "name", "value", "number", "keyword")


def _theme(name: str, colours: Mapping[str, str], *, dark: bool) -> Theme:
    """Create a theme. Text has its own colours, so that every pair can be tested for contrast."""
    accent, muted = colours["accent"], colours["muted"]
    variables = {
        "text-muted": muted,
        "text-disabled": muted,
        "text-primary": accent,
        "text-accent": accent,
        "text-secondary": colours["secondary"],
        "text-success": colours["success"],
        "text-warning": colours["warning"],
        "text-error": colours["error"],
        "on-accent": colours["on-accent"],
        "edge": colours["edge"],
        "diff-add": colours["diff-add"],
        "diff-remove": colours["diff-remove"],
        "diff-add-word": colours["diff-add-word"],
        "diff-remove-word": colours["diff-remove-word"],
        "footer-background": colours["panel"],
        "footer-key-foreground": accent,
        "footer-description-foreground": colours["foreground"],
        "block-cursor-foreground": colours["foreground"],
        "block-cursor-background": colours["selection"],
        "selection": colours["selection"],
        "block-cursor-text-style": "none",
        "block-cursor-blurred-foreground": colours["foreground"],
        "block-cursor-blurred-background": colours["panel"],
        "block-hover-background": colours["panel"],
        "input-selection-background": colours["selection"],
        "input-cursor-background": colours["foreground"],
        "input-cursor-foreground": colours["background"],
        "button-color-foreground": colours["on-accent"],
        "button-foreground": colours["foreground"],
        "button-focus-text-style": "bold",
        **{f"syntax-{part}": colours[f"syntax-{part}"] for part in _SYNTAX},
    }
    return Theme(
        name=name,
        primary=accent,
        secondary=colours["secondary"],
        accent=accent,
        success=colours["success"],
        warning=colours["warning"],
        error=colours["error"],
        foreground=colours["foreground"],
        background=colours["background"],
        surface=colours["surface"],
        panel=colours["panel"],
        dark=dark,
        variables=variables,
    )


DARK = _theme(
    "moorage-dark",
    {
        "background": "#0e161c",
        "surface": "#131e26",
        "panel": "#1c2b35",
        "edge": "#2f4451",
        "foreground": "#dce6ec",
        "muted": "#9aacb8",
        "accent": "#62cdd3",
        "on-accent": "#06181b",
        "secondary": "#9fc0e6",
        "success": "#8ed192",
        "warning": "#ecc267",
        "error": "#ff9d92",
        "selection": "#173f49",
        "diff-add": "#10291d",
        "diff-remove": "#331a1d",
        "diff-add-word": "#164a2c",
        "diff-remove-word": "#5a2227",
        "syntax-comment": "#9fb0bb",
        "syntax-name": "#7fd6dc",
        "syntax-value": "#b6dba0",
        "syntax-number": "#f0cb84",
        "syntax-keyword": "#b4cdf0",
    },
    dark=True,
)
LIGHT = _theme(
    "moorage-light",
    {
        "background": "#fbfcfd",
        "surface": "#f2f5f7",
        "panel": "#e3eaed",
        "edge": "#b9c7ce",
        "foreground": "#16222a",
        "muted": "#4c5b65",
        "accent": "#0a5f69",
        "on-accent": "#ffffff",
        "secondary": "#2a517a",
        "success": "#1d5c36",
        "warning": "#6b4a00",
        "error": "#9c1f18",
        "selection": "#c3e6ea",
        "diff-add": "#dff4e4",
        "diff-remove": "#fce4e2",
        "diff-add-word": "#b4e3c0",
        "diff-remove-word": "#f5c0bb",
        "syntax-comment": "#475660",
        "syntax-name": "#0b5560",
        "syntax-value": "#2b5414",
        "syntax-number": "#6a4200",
        "syntax-keyword": "#27467a",
    },
    dark=False,
)
# Only the 16 colours. Red is hard to read on blue there, so errors are magenta. Signs and
# underlines mark what differs only in its background in the other themes.
SIXTEEN = _theme(
    "moorage-16",
    {
        "background": "#000000",
        "surface": "#000000",
        "panel": "#0000aa",
        "edge": "#555555",
        "foreground": "#ffffff",
        "muted": "#aaaaaa",
        "accent": "#55ffff",
        "on-accent": "#000000",
        "secondary": "#55ffff",
        "success": "#55ff55",
        "warning": "#ffff55",
        "error": "#ff55ff",
        "selection": "#0000aa",
        "diff-add": "#000000",
        "diff-remove": "#000000",
        "diff-add-word": "#000000",
        "diff-remove-word": "#000000",
        "syntax-comment": "#aaaaaa",
        "syntax-name": "#55ffff",
        "syntax-value": "#ffffff",
        "syntax-number": "#ffff55",
        "syntax-keyword": "#55ffff",
    },
    dark=True,
)
THEMES = (DARK, LIGHT, SIXTEEN)

STYLE = """
* { scrollbar-size: 0 1; scrollbar-color: $edge; scrollbar-background: $background;
    scrollbar-color-hover: $accent; scrollbar-color-active: $accent;
    scrollbar-background-hover: $background; scrollbar-background-active: $background; }
ToastRack { align: left bottom; margin-bottom: 2; overflow-y: hidden; }
ToastHolder { align-horizontal: left; }
Toast {
    width: auto; max-width: 60%; margin-top: 0; padding: 0 1;
    background: $selection; color: $foreground; border-left: outer $accent;
}
Toast.-warning { border-left: outer $warning; }
Toast.-error { border-left: outer $error; }
Button, Button.-textual-compact {
    height: 1; min-width: 8; width: auto; padding: 0 2; border: none !important;
    background: $panel; color: $foreground; text-style: none; tint: transparent;
    background-tint: transparent;
}
Button:hover, Button.-textual-compact:hover { background: $edge; color: $foreground; }
Button.-primary, Button.-textual-compact.-primary {
    background: $panel; color: $accent; text-style: bold;
}
Button.-error, Button.-textual-compact.-error { background: $panel; color: $error; }
Button:focus, Button.-textual-compact:focus {
    background: $accent; color: $on-accent; text-style: bold;
    background-tint: transparent; padding: 0 1;
    border-left: outer $foreground !important; border-right: outer $foreground !important;
}
Button:disabled { color: $text-muted; text-style: strike; opacity: 100%; text-opacity: 100%; }
OptionList { background: $background; border: none; padding: 0; }
OptionList:focus { border: none; background-tint: transparent; }
OptionList > .option-list--separator { color: $edge; }
OptionList > .option-list--option-highlighted { color: $foreground; background: $panel; }
OptionList:focus > .option-list--option-highlighted {
    color: $foreground; background: $selection; text-style: bold;
}
DataTable { background: $background; }
DataTable > .datatable--header { background: $background; color: $text-muted; text-style: none; }
DataTable > .datatable--cursor { background: $panel; color: $foreground; }
DataTable:focus { background-tint: transparent; }
DataTable:focus > .datatable--cursor {
    color: $foreground; background: $selection; text-style: bold;
}
DataTable > .datatable--hover { background: $panel; }
TextArea, TextArea.-textual-compact {
    border: none !important; background: $panel; background-tint: transparent; padding: 0 0 0 1;
}
TextArea:focus, TextArea.-textual-compact:focus {
    border-left: outer $accent !important; background-tint: transparent; padding: 0;
}
TextArea .text-area--cursor-line { background: transparent; }
TextArea .text-area--placeholder { color: $text-muted; text-style: italic; }
Tree { background: $background; }
Tree:focus { background-tint: transparent; }
Tree > .tree--guides { color: $edge; }
Tree > .tree--guides-hover { color: $edge; }
Tree > .tree--guides-selected { color: $edge; }
Tree > .tree--cursor { background: $panel; color: $foreground; text-style: none; }
Tree:focus > .tree--cursor { background: $selection; color: $foreground; text-style: bold; }
Tree > .tree--highlight-line { background: transparent; }
CommandPalette { background: $background 60%; }
CommandPalette > Vertical { background: $surface; width: 80; max-width: 100%; }
CommandPalette #--input { border: none; background: $panel; height: 1; margin: 0; padding: 0 1; }
CommandPalette CommandInput, CommandPalette CommandInput:focus {
    border: none; background: $panel; padding: 0;
}
CommandPalette SearchIcon { display: none; }
CommandPalette CommandList { border: none; background: $surface; }
CommandPalette > .command-palette--help-text { color: $text-muted; text-style: not bold; }
CommandPalette > .command-palette--highlight { text-style: bold underline; }
CommandList > .option-list--option-highlighted,
CommandList:focus > .option-list--option-highlighted {
    color: $foreground; background: $selection;
}
"""
"""Styles of Textual's own widgets, and rules for all."""


def usual_theme(colours: str | None = "truecolor") -> str:
    """Return the theme chosen last, or the one that suits the terminal, as far as that is known.

    Args:
        colours: The terminal's colour system as rich names it: standard, 256 or truecolor.
    """
    if colours in {"standard", "windows"}:
        return SIXTEEN.name
    if chosen := _chosen_theme():
        return chosen
    background = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in {"7", "15"} else DARK.name


def keep_theme(name: str) -> None:
    """Begin with a theme from now on.

    Raises:
        OSError: The choice cannot be stored.
    """
    write_private(private_folder() / _CHOICE, f"{name}\n".encode())


def _chosen_theme() -> str:
    try:
        name = (state_folder() / _CHOICE).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
    return name if name in {each.name for each in THEMES} else ""
