"""Credentials: the users of the registry."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from moorage.answers.secrets import Secret, Typed
from moorage.users import passwords
from tui.document.steps import Step
from tui.labels import text_of
from tui.widgets.choice import Choice, Option
from tui.widgets.field import Field
from tui.widgets.key_footer import KeyFooter
from tui.widgets.password_field import PasswordField
from tui.widgets.table import EditableTable
from tui.wizard.form import Form
from tui.wizard.form_dialog import FormDialog
from tui.wizard.list_pane import ListPane
from tui.wizard_session import WizardSession

_ACCESS = (
    Option("push", "Push", "can push, pull and delete"),
    Option("pull", "Pull", "can only pull"),
)
_ACCESS_WORDS = {"push": "push and pull", "pull": "pull only"}


class CredentialsPane(ListPane):
    """A table of users."""

    step = Step.CREDENTIALS
    items = "credentials.users"
    question = "Who can log in?"
    explanation = "One user with a generated password is enough."
    help_text = (
        "Users log in with docker login. A generated password is shown once, at the end of the "
        "deployment. A typed password is kept in memory only; an answers file gets its hash. "
        "Hashes from an existing htpasswd file (bcrypt, yescrypt, apr1, SHA-crypt) keep working."
    )
    example = (
        "ci    Push   a pipeline: pushes, pulls and deletes\n"
        "ana   Pull   a person or a server: only pulls\n"
        "docker login registry.example.com -u ana"
    )
    DEFAULT_CSS = "CredentialsPane .row { height: 1; margin-bottom: 1; }"

    def body(self) -> ComposeResult:
        yield EditableTable(("User", "Access", "Password"))
        with Horizontal(classes="row"):
            yield Button("Add a user", id="add", compact=True)

    def load(self) -> None:
        """Fill the table."""
        super().load()
        table = self.query_one(EditableTable)
        users = self.draft.items("credentials.users")
        table.display = bool(users)
        table.show_rows(
            [
                (
                    str(user.get("name", "")),
                    _ACCESS_WORDS.get(str(user.get("access", "push")), "?"),
                    describe_password(user.get("password")),
                )
                for user in users
            ]
        )

    def focus_first(self) -> None:
        """Focus the table, or the Add button while there are no users."""
        if self.draft.items("credentials.users"):
            self.take_focus(self.query_one(EditableTable))
        else:
            self.take_focus(self.query_one("#add"))

    def dialog(self, row: int) -> UserDialog:
        """Return the dialog for a user."""
        return UserDialog(self.session, row)


class UserDialog(FormDialog):
    """Adds or edits one user.

    Args:
        session: The deployment that is open.
        row: The user's position in the list; -1 for a new one.
    """

    DEFAULT_CSS = """
    UserDialog > .dialog--box { height: 90%; max-height: 26; }
    UserDialog .caption { color: $foreground; }
    """

    def __init__(self, session: WizardSession, row: int) -> None:
        fresh = {"name": "", "access": "push", "password": {"generate": True}}
        super().__init__(session.draft, "credentials.users", row, fresh)
        self._current_password = self.scratch.get(f"{self.place}.password")

    def compose(self) -> ComposeResult:
        current = self._current_password
        options = [
            Option("generate", "Generated", "shown once, at the end"),
            Option("type", "Your own"),
            Option("hash", "Hash", "from an htpasswd file"),
        ]
        kind = "generate"
        if isinstance(current, dict) and "hash" in current:
            kind = "hash"
        elif not (isinstance(current, dict) and current.get("generate")):
            kind = "keep"
            options.insert(0, Option("keep", "Unchanged", describe_password(current)))
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Add a user" if self.is_new else "Edit the user"
            with Form(self.scratch):
                yield Field.at(f"{self.place}.name")
                yield Static("Access", classes="caption")
                yield Choice(_ACCESS, f"{self.place}.access", id="access")
                yield Static("Password", classes="caption")
                yield Choice(options, value=kind, id="kind")
                yield PasswordField(
                    lambda: str(self.scratch.get(f"{self.place}.name") or ""),
                    "Use a longer password, or let Moorage generate one.",
                    id="password",
                    help_text="At most 72 bytes",
                )
                yield Field(
                    "Hash",
                    id="hash",
                    value=current["hash"] if kind == "hash" else "",
                    placeholder="e.g. $2y$12$…",
                    help_text="The part after the colon in the htpasswd line",
                )
            yield from self.buttons("Add" if self.is_new else "OK")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show the field for the kind of password."""
        self._show_kind()

    @property
    def _kind(self) -> str:
        return self.query_one("#kind", Choice).value

    def _show_kind(self) -> None:
        self.query_one("#password").display = self._kind == "type"
        self.query_one("#hash").display = self._kind == "hash"

    @on(Choice.Changed, "#kind")
    def _kind_chosen(self) -> None:
        self._show_kind()

    @on(Field.Changed, "#password")
    def _password_typed(self, event: Field.Changed) -> None:
        event.field.show_error("")

    @on(Field.Left, "#password")
    def _password_left(self) -> None:
        password = self.query_one(PasswordField)
        if password.fault:
            password.show_error(password.fault)

    def show_problems(self) -> bool:
        """Show what is wrong with the fields and the hash, whose field has no path."""
        fields_are_good, hash_is_good = super().show_problems(), self._check_hash()
        if fields_are_good and not hash_is_good:
            self.query_one("#hash", Field).focus()
        return fields_are_good and hash_is_good

    def _check_hash(self) -> bool:
        is_hash = self._kind == "hash"
        problem = self.scratch.problem_at(f"{self.place}.password") if is_hash else None
        self.query_one("#hash", Field).show_error(text_of(problem))
        return problem is None

    def accept(self) -> None:
        """Accept the user if everything is valid."""
        path = f"{self.place}.password"
        password = self.query_one(PasswordField)
        hashed = self.query_one("#hash", Field)
        match self._kind:
            case "type":
                self.scratch.set(path, Typed(Secret(password.value)))
            case "hash":
                self.scratch.set(path, {"hash": hashed.value.strip()})
            case "generate":
                self.scratch.set(path, {"generate": True})
            case _:
                self.scratch.set(path, self._current_password)
        is_good = self.show_problems()
        if self._kind == "type" and not password.check():
            if is_good:
                password.focus()
            return
        if is_good:
            self.dismiss(self.scratch.get(self.place))


def describe_password(reference: object) -> str:
    """Return where a password comes from, as a phrase."""
    if isinstance(reference, Typed):
        return "typed"
    if not isinstance(reference, dict) or len(reference) != 1:
        return "?"
    kind, value = next(iter(reference.items()))
    words = {
        "generate": "generated",
        "hash": f"hash ({passwords.hash_kind(str(value))})",
        "env": f"from ${value}",
        "prompt": "asked for",
    }
    return words.get(str(kind), f"from {kind}")
