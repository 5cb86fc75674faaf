"""A click group that imports a command's module when it is first used."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


@dataclass(frozen=True)
class LazyCommand:
    """A command that is imported on demand.

    Attributes:
        module: Its module, whose attribute ``command`` is the click command.
        summary: Its line in the list of commands.
        hidden: Whether it is left out of that list.
        synonyms: Names that other programs have for it, which lead to a suggestion.
    """

    module: str
    summary: str
    hidden: bool = False
    synonyms: tuple[str, ...] = ()


class LazyGroup(click.Group):
    """Lists its commands without importing them; can take a file in place of a command.

    Attributes:
        lazy: The commands by name, in the order of the list.
        file_command: The command to run if the first argument is a file.
    """

    lazy: Mapping[str, LazyCommand]
    file_command: str | None = None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the listed commands, in order."""
        return [name for name, command in self.lazy.items() if not command.hidden]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; return None if it does not exist."""
        if cmd_name not in self.lazy:
            return None
        found = importlib.import_module(self.lazy[cmd_name].module).command
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for ``--help``, from the summaries."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self.lazy[name].summary) for name in self.list_commands(ctx)]
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command for the first argument, which can be a file."""
        first = args[0]
        if first in self.lazy:
            return first, self.get_command(ctx, first), args[1:]
        if self.file_command and not first.startswith("-") and _names_a_file(first):
            return self.file_command, self.get_command(ctx, self.file_command), args
        listed = self.list_commands(ctx)
        matches = [name for name in listed if first in self.lazy[name].synonyms]
        matches = matches or difflib.get_close_matches(first, listed, n=1)
        advice = f"Did you mean {matches[0]}?" if matches else f"Commands: {', '.join(listed)}."
        kind = "command or file" if self.file_command else "command"
        raise click.UsageError(f"No such {kind}: {first}. {advice}", ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands, and files if the group takes one in place of a command."""
        from click.shell_completion import CompletionItem

        files = [CompletionItem(incomplete, type="file")] if self.file_command else []
        return [*super().shell_complete(ctx, incomplete), *files]


def _names_a_file(word: str) -> bool:
    path = Path(word)
    return path.suffix in {".yml", ".yaml"} or "/" in word or path.is_file()
