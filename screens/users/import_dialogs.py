"""Dialogs to import users from an htpasswd file: which file, and a preview."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from moorage.desired.users import Access, RegistryUser
from moorage.escape import printable
from moorage.local_file import file_fault
from moorage.users.describe import rights
from moorage.users.edits import Users
from moorage.users.htpasswd_import import (
    HtpasswdFile,
    ImportResult,
    OnExisting,
    check_size,
    merge,
    parse_htpasswd,
    read_htpasswd,
)
from screens.users.servers import UsersOnServers
from screens.users.user_dialogs import UserForm, rules_fault, rules_part, split_rules
from tui.widgets.choice import Choice, Option
from tui.widgets.dialog import Dialog
from tui.widgets.field import Field
from tui.widgets.key_footer import KeyFooter

OLDER_PRODUCT = "/etc/nginx/conf.d/cloud66.htpasswd"
"""The htpasswd file of an older one-click product on a server."""
_OLDER_RIGHTS = "There, every user could push everywhere; choose Push to keep that."
_HERE = "here"
_MOST_LINES = 200
_FEW = 6
"""Lines that fit the smallest terminal beside the rest of the dialog."""


@dataclass(frozen=True)
class Source:
    """The file to import, and how.

    Attributes:
        server: The server's label; empty for a file on this machine.
        path: The htpasswd file.
        access: The new users' access.
        repositories: The repositories it is limited to; empty for all.
        on_existing: Whether existing users keep their password.
    """

    server: str
    path: str
    access: Access
    repositories: tuple[str, ...]
    on_existing: OnExisting


@dataclass(frozen=True)
class ImportPreview:
    """An import before it is staged.

    Attributes:
        source: The file to import, and how.
        file: The file's content.
        merged: The outcome for the current users.
    """

    source: Source
    file: HtpasswdFile
    merged: ImportResult

    def edit(self, users: Users) -> Users:
        """Return users with those of the file added."""
        return _merged(self.source, self.file, users).users


def read_import(source: Source, users: Users, users_on_servers: UsersOnServers) -> ImportPreview:
    """Read the file. Blocks.

    Args:
        source: The file to import, and how.
        users: The current users.
        users_on_servers: Reads files from servers.

    Raises:
        MoorageError: The file cannot be read, or is too large for an htpasswd file.
    """
    if source.server:
        content = users_on_servers.read_file(source.server, source.path)
        check_size(content, source.path)
    else:
        content = read_htpasswd(source.path)
    parsed = parse_htpasswd(content)
    return ImportPreview(source, parsed, _merged(source, parsed, users))


def _merged(source: Source, file: HtpasswdFile, users: Users) -> ImportResult:
    return merge(users, file, source.access, source.repositories, source.on_existing)


class ImportDialog(UserForm[Source]):
    """Asks for an htpasswd file on this machine or a server.

    Args:
        servers: The labels of the servers that can be reached.
    """

    DEFAULT_CSS = """
    ImportDialog > .dialog--box { max-height: 27; }
    ImportDialog #older { display: none; }
    ImportDialog.-older #older { display: block; }
    """

    def __init__(self, servers: Sequence[str]) -> None:
        super().__init__("Import users", "Read")
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
                    help_text="bcrypt, yescrypt, apr1, SHA-crypt hashes keep working")  # fmt: skip
        yield Static(_OLDER_RIGHTS, id="older", classes="note")
        yield from rules_part("pull", (), "New users")
        yield Static("Existing users", classes="caption")
        yield Choice([Option("keep", "Keep their password"),
                      Option("replace", "Get the password in the file")], id="known")  # fmt: skip

    def on_mount(self) -> None:
        """Focus the file."""
        self.query_one("#file", Field).focus()

    @property
    def _place(self) -> str:
        return self.query_one("#place", Choice).value.removeprefix("server:")

    @on(Choice.Changed, "#place")
    def _place_chosen(self) -> None:
        """Suggest the older product's file on a server."""
        file = self.query_one("#file", Field)
        if self._is_here and file.value == OLDER_PRODUCT:
            file.value = ""
        elif not self._is_here and not file.value:
            file.value = OLDER_PRODUCT
        file.show_error("")
        self._suggest_access()

    @on(Field.Changed, "#file")
    def _file_typed(self) -> None:
        self._suggest_access()

    @on(Choice.Changed, "#access")
    def _access_chosen(self) -> None:
        self._access_was_chosen = True

    def _suggest_access(self) -> None:
        """Suggest the least access, or the access users had in the older product."""
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
            return "expected the path of an htpasswd file"
        if not self._is_here:
            is_good = text.startswith("/") and "\n" not in text
            return "" if is_good else "must be a path on the server that begins with /"
        return file_fault(text.strip())

    def given(self) -> Source:
        access: Access = "push" if self.query_one("#access", Choice).value == "push" else "pull"
        return Source(
            "" if self._is_here else self._place,
            self.text_of("file").strip(),
            access,
            split_rules(self.text_of("repositories")),
            "replace" if self.query_one("#known", Choice).value == "replace" else "keep",
        )


class ImportPreviewDialog(Dialog[bool]):
    """Shows the outcome of an import before it is staged.

    Args:
        preview: The import.
    """

    def __init__(self, preview: ImportPreview) -> None:
        super().__init__()
        self._preview = preview
        self.set_class(len(preview.merged.rejected) > _FEW, "-tall")

    def compose(self) -> ComposeResult:
        merged = self._preview.merged
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Import users"
            with VerticalScroll(classes="dialog--body", can_focus=bool(merged.rejected)):
                yield Static(self._text(), classes="dialog--text")
            with Horizontal(classes="dialog--buttons"):
                yield Button("Back", id="refuse", compact=True)
                if merged.added or merged.replaced:
                    yield Button("Stage", id="accept", variant="primary", compact=True)
        yield KeyFooter()

    def _text(self) -> Content:
        source, merged = self._preview.source, self._preview.merged
        where = f"{source.path} on {source.server}" if source.server else source.path
        lines = [Content.styled(printable(where), "bold")]
        lines += _group("+", "$text-success", "new", merged.added)
        if merged.added:
            can = rights(RegistryUser("", "", source.access, source.repositories))
            lines.append(Content(f"  can {printable(can)}"))
        lines += _group("~", "$text-warning", "with a new password", merged.replaced)
        lines += _group(" ", "$text-muted", "unchanged", merged.kept)
        if not (merged.added or merged.replaced or merged.kept):
            lines.append(Content("The file has no users to import."))
        rejected = merged.rejected
        if rejected:
            head = f"✗ {len(rejected)} line{'s' if len(rejected) != 1 else ''} skipped"
            lines += [Content(""), Content.styled(head, "bold $text-error")]
            lines += [Content(f"  {printable(str(each))}") for each in rejected[:_MOST_LINES]]
            if len(rejected) > _MOST_LINES:
                lines.append(Content(f"  and {len(rejected) - _MOST_LINES} more"))
        return Content("\n").join(lines)

    def on_mount(self) -> None:
        """Focus the button that stages, or Back."""
        self.set_focus(self.query("#accept, #refuse").last(Button))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "accept")

    def action_refuse(self) -> None:
        """Go back."""
        self.dismiss(False)


def _group(sign: str, colour: str, what: str, names: Sequence[str]) -> list[Content]:
    if not names:
        return []
    some = ", ".join(printable(name) for name in names[:12])
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return [Content.styled(f"{sign} {len(names)} {what}: ", colour) + Content(some + more)]
