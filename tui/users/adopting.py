"""Asks for an htpasswd file to take users over from, and shows what that comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Footer, Static

from moorage.deploy.visible import visible
from moorage.desired.users import Access
from tui.users.dialogs import UserForm
from tui.users.staging import Adoption
from tui.widgets.choice import Choice, Option
from tui.widgets.dialog import Dialog
from tui.widgets.field import Field

OLDER_PRODUCT = "/etc/nginx/conf.d/cloud66.htpasswd"
"""Where an older one-click product keeps its users on a server."""
_HERE = "here"
_MOST_LINES = 200


@dataclass(frozen=True)
class Source:
    """Where users come from.

    Attributes:
        server: The server's label; empty for a file on this machine.
        path: The htpasswd file.
        access: What the new users may do.
        replaces: Whether users who are there already get the file's password.
    """

    server: str
    path: str
    access: Access
    replaces: bool


class ImportDialog(UserForm[Source]):
    """Asks for an htpasswd file, here or on a server.

    Args:
        servers: The labels of the servers that can be reached.
    """

    def __init__(self, servers: Sequence[str]) -> None:
        super().__init__("Import users", "Read it")
        self._servers = servers

    def body(self) -> ComposeResult:
        yield Static("From an htpasswd file", classes="caption")
        yield Choice(
            [
                Option(_HERE, "On this machine"),
                *(Option(f"server:{each}", f"On {visible(each)}") for each in self._servers),
            ],
            id="place",
        )
        yield Field("File", id="file", placeholder="users.htpasswd",
                    help_text="bcrypt, apr1 and SHA-crypt hashes are kept as they are")  # fmt: skip
        yield Static("New users may", classes="caption")
        yield Choice([Option("push", "Push", "push, pull and delete"),
                      Option("pull", "Pull", "only pull")], id="access")  # fmt: skip
        yield Static("Users who are there already", classes="caption")
        yield Choice([Option("keep", "Stay as they are"),
                      Option("replace", "Get the file's password")], id="known")  # fmt: skip

    def on_mount(self) -> None:
        """Start typing at once."""
        self.query_one("#file", Field).focus()

    @property
    def _place(self) -> str:
        return self.query_one("#place", Choice).value.removeprefix("server:")

    @on(Choice.Changed, "#place")
    def _place_chosen(self) -> None:
        """Offer the older product's file on a server."""
        file = self.query_one("#file", Field)
        if self._is_here and file.value == OLDER_PRODUCT:
            file.value = ""
        elif not self._is_here and not file.value:
            file.value = OLDER_PRODUCT
        file.show_error("")

    @property
    def _is_here(self) -> bool:
        return self.query_one("#place", Choice).value == _HERE

    def checks(self) -> dict[str, Callable[[str], str]]:
        return {"file": self._file_fault}

    def _file_fault(self, text: str) -> str:
        if not text.strip():
            return "wanted: the path of an htpasswd file"
        if not self._is_here:
            is_good = text.startswith("/") and "\n" not in text
            return "" if is_good else "wanted: a path on the server that begins with /"
        path = Path(text.strip()).expanduser()
        if not path.is_file():
            return "there is no such file" if not path.exists() else "that is no file"
        return ""

    def given(self) -> Source:
        access: Access = "push" if self.query_one("#access", Choice).value == "push" else "pull"
        return Source(
            "" if self._is_here else self._place,
            self.text_of("file").strip(),
            access,
            self.query_one("#known", Choice).value == "replace",
        )


class AdoptionDialog(Dialog[bool]):
    """Shows what an import comes to before it is staged.

    Args:
        source: Where the users come from.
        adoption: What taking them over comes to.
        problems: What is wrong in the file, by line.
    """

    def __init__(self, source: Source, adoption: Adoption, problems: Sequence[str]) -> None:
        super().__init__()
        self._source = source
        self._adoption = adoption
        self._problems = [*problems, *adoption.refused]

    def compose(self) -> ComposeResult:
        adoption = self._adoption
        has_some = bool(adoption.new or adoption.replaced)
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Import users"
            with VerticalScroll(classes="dialog--body", can_focus=bool(self._problems)):
                yield Static(self._text(), classes="dialog--text")
            with Horizontal(classes="dialog--buttons"):
                yield Button("Back", id="refuse", compact=True)
                if has_some:
                    yield Button("Stage them", id="accept", variant="primary", compact=True)
        yield Footer(compact=True, show_command_palette=False)

    def _text(self) -> Content:
        adoption, source = self._adoption, self._source
        where = f"{source.path} on {source.server}" if source.server else source.path
        lines = [Content.styled(visible(where), "bold")]
        lines += _group("+", "$text-success", "new", [user.name for user in adoption.new])
        lines += _group("~", "$text-warning", "with another password", adoption.replaced)
        lines += _group(" ", "$text-muted", "there already, not changed", adoption.kept)
        if not (adoption.new or adoption.replaced or adoption.kept):
            lines.append(Content("Nobody is in it who could be taken over."))
        if self._problems:
            lines += [Content(""), Content.styled(
                f"✗ {len(self._problems)} left out", "bold $text-error")]  # fmt: skip
            lines += [Content(f"  {visible(each)}") for each in self._problems[:_MOST_LINES]]
            if len(self._problems) > _MOST_LINES:
                lines.append(Content(f"  and {len(self._problems) - _MOST_LINES} more"))
        return Content("\n").join(lines)

    def on_mount(self) -> None:
        """Begin on the button that goes on."""
        self.query("#accept, #refuse").last(Button).focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "accept")

    def action_refuse(self) -> None:
        """Escape is no."""
        self.dismiss(False)


def _group(sign: str, colour: str, what: str, names: Sequence[str]) -> list[Content]:
    if not names:
        return []
    some = ", ".join(visible(name) for name in names[:12])
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return [Content.styled(f"{sign} {len(names)} {what}: ", colour) + Content(some + more)]
