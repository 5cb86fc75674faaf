"""Asks for an htpasswd file to take users over from, and shows what that comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from moorage.desired.users import Access, RegistryUser
from moorage.errors import MoorageError
from moorage.escape import printable
from moorage.users.describe import rights
from moorage.users.edits import Users
from moorage.users.htpasswd_import import (
    LARGEST_FILE,
    HtpasswdFile,
    ImportResult,
    OnExisting,
    check_size,
    merge,
    parse_htpasswd,
)
from screens.users.servers import UsersEngine
from screens.users.user_dialogs import UserForm, rules_fault, rules_part, split_rules
from tui.widgets.choice import Choice, Option
from tui.widgets.dialog import Dialog
from tui.widgets.field import Field
from tui.widgets.key_footer import KeyFooter

OLDER_PRODUCT = "/etc/nginx/conf.d/cloud66.htpasswd"
"""Where an older one-click product keeps its users on a server."""
_OLDER_RIGHTS = "Everybody there could push everywhere; with Push, that stays so."
_HERE = "here"
_MOST_LINES = 200
_FEW = 6
"""Lines that fit the smallest terminal with everything else."""


@dataclass(frozen=True)
class Source:
    """Where users come from.

    Attributes:
        server: The server's label; empty for a file on this machine.
        path: The htpasswd file.
        access: What the new users may do.
        repositories: Where; everywhere when empty.
        on_existing: What happens to the password of a user who is there already.
    """

    server: str
    path: str
    access: Access
    repositories: tuple[str, ...]
    on_existing: OnExisting


@dataclass(frozen=True)
class Found:
    """A file's users, on their way to those who are there.

    Attributes:
        source: Where they come from.
        file: What the file holds.
        merged: What taking them over comes to.
    """

    source: Source
    file: HtpasswdFile
    merged: ImportResult

    def edit(self, users: Users) -> Users:
        """Return users with those of the file among them."""
        return _merged(self.source, self.file, users).users


def find(source: Source, users: Users, engine: UsersEngine) -> Found:
    """Read a file. Blocks.

    Args:
        source: Where it is.
        users: The users who are there.
        engine: Reads from servers.

    Raises:
        MoorageError: It cannot be read, or is too large to be what it should be.
    """
    if source.server:
        content = engine.read_file(source.server, source.path)
    else:
        try:
            with Path(source.path).expanduser().open("rb") as file:
                content = file.read(LARGEST_FILE + 1)
        except OSError as error:
            raise MoorageError(
                f"{source.path} cannot be read: {error.strerror}.", code="cannot_read"
            ) from error
    check_size(content, source.path)
    parsed = parse_htpasswd(content)
    return Found(source, parsed, _merged(source, parsed, users))


def _merged(source: Source, file: HtpasswdFile, users: Users) -> ImportResult:
    return merge(users, file, source.access, source.repositories, source.on_existing)


class ImportDialog(UserForm[Source]):
    """Asks for an htpasswd file, here or on a server.

    Args:
        servers: The labels of the servers that can be reached.
    """

    DEFAULT_CSS = """
    ImportDialog > .dialog--box { max-height: 27; }
    ImportDialog #older { display: none; }
    ImportDialog.-older #older { display: block; }
    """

    def __init__(self, servers: Sequence[str]) -> None:
        super().__init__("Import users", "Read it")
        self.add_class("-tall")
        self._servers = servers
        self._access_was_chosen = False

    def body(self) -> ComposeResult:
        yield Static("From an htpasswd file", classes="caption")
        yield Choice(
            [
                Option(_HERE, "On this machine"),
                *(Option(f"server:{each}", f"On {printable(each)}") for each in self._servers),
            ],
            id="place",
        )
        yield Field("File", id="file", placeholder="e.g. users.htpasswd",
                    help_text="bcrypt, apr1 and SHA-crypt stay as they are")  # fmt: skip
        yield Static(_OLDER_RIGHTS, id="older", classes="note")
        yield from rules_part("pull", (), "New users")
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
        self._suit_access()

    @on(Field.Changed, "#file")
    def _file_typed(self) -> None:
        self._suit_access()

    @on(Choice.Changed, "#access")
    def _access_chosen(self) -> None:
        self._access_was_chosen = True

    def _suit_access(self) -> None:
        """Begin with the least, and with what they had where that is known."""
        is_older = not self._is_here and self.text_of("file").strip() == OLDER_PRODUCT
        self.set_class(is_older, "-older")
        if not self._access_was_chosen:
            self.query_one("#access", Choice).value = "push" if is_older else "pull"

    @property
    def _is_here(self) -> bool:
        return self.query_one("#place", Choice).value == _HERE

    def checks(self) -> dict[str, Callable[[str], str]]:
        return {"file": self._file_fault, "repositories": rules_fault}

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
            split_rules(self.text_of("repositories")),
            "replace" if self.query_one("#known", Choice).value == "replace" else "keep",
        )


class FoundDialog(Dialog[bool]):
    """Shows what an import comes to before it is staged.

    Args:
        found: What was read.
    """

    def __init__(self, found: Found) -> None:
        super().__init__()
        self._found = found
        self.set_class(len(found.merged.rejected) > _FEW, "-tall")

    def compose(self) -> ComposeResult:
        merged = self._found.merged
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Import users"
            with VerticalScroll(classes="dialog--body", can_focus=bool(merged.rejected)):
                yield Static(self._text(), classes="dialog--text")
            with Horizontal(classes="dialog--buttons"):
                yield Button("Back", id="refuse", compact=True)
                if merged.added or merged.replaced:
                    yield Button("Stage them", id="accept", variant="primary", compact=True)
        yield KeyFooter()

    def _text(self) -> Content:
        source, merged = self._found.source, self._found.merged
        where = f"{source.path} on {source.server}" if source.server else source.path
        lines = [Content.styled(printable(where), "bold")]
        lines += _group("+", "$text-success", "new", merged.added)
        if merged.added:
            may = rights(RegistryUser("", "", source.access, source.repositories))
            lines.append(Content(f"  may {printable(may)}"))
        lines += _group("~", "$text-warning", "with another password", merged.replaced)
        lines += _group(" ", "$text-muted", "there already, as they were", merged.kept)
        if not (merged.added or merged.replaced or merged.kept):
            lines.append(Content("Nobody is in it who is not there already."))
        rejected = merged.rejected
        if rejected:
            head = f"✗ {len(rejected)} line{'s' if len(rejected) != 1 else ''} left out"
            lines += [Content(""), Content.styled(head, "bold $text-error")]
            lines += [Content(f"  {printable(str(each))}") for each in rejected[:_MOST_LINES]]
            if len(rejected) > _MOST_LINES:
                lines.append(Content(f"  and {len(rejected) - _MOST_LINES} more"))
        return Content("\n").join(lines)

    def on_mount(self) -> None:
        """Begin on the button that goes on."""
        self.set_focus(self.query("#accept, #refuse").last(Button))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "accept")

    def action_refuse(self) -> None:
        """Escape is no."""
        self.dismiss(False)


def _group(sign: str, colour: str, what: str, names: Sequence[str]) -> list[Content]:
    if not names:
        return []
    some = ", ".join(printable(name) for name in names[:12])
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return [Content.styled(f"{sign} {len(names)} {what}: ", colour) + Content(some + more)]
