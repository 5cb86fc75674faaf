"""Dialogs for one user: a new user, a new password, different access."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from moorage.answers.repository_rules import repositories_note
from moorage.answers.secrets import Secret
from moorage.desired.users import Access, RegistryUser
from moorage.escape import printable
from moorage.users import edits
from moorage.users.describe import rights
from moorage.users.edits import Users, WrongUserError
from moorage.users.passwords import generate_password
from moorage.users.strength import estimate
from tui.widgets.choice import Choice, Option
from tui.widgets.dialog import AskingDialog
from tui.widgets.field import Field
from tui.widgets.key_footer import KeyFooter
from tui.widgets.password_field import PasswordField

Given = TypeVar("Given")

_ACCESS = (
    Option("push", "Push", "can push, pull and delete"),
    Option("pull", "Pull", "can only pull"),
)
_GENERATED = "Empty: Moorage generates one and shows it once"
_INSTEAD = "Leave it empty to generate one."
_REPOSITORIES = (
    "The repositories the user can access, separated by spaces. team-a/app is only this "
    "repository; team-b/* is every repository below team-b, at any depth, but not team-b itself. "
    "The only pattern is /* at the end. Empty: all repositories."
)


@dataclass(frozen=True)
class Password:
    """A new password.

    Attributes:
        secret: The password.
        is_generated: Whether Moorage generated it, so it has to be shown.
    """

    secret: Secret = field(repr=False)
    is_generated: bool


@dataclass(frozen=True)
class NewUser:
    """A user to add."""

    name: str
    access: Access
    repositories: tuple[str, ...]
    password: Password


@dataclass(frozen=True)
class NewAccess:
    """The new access of a user."""

    access: Access
    repositories: tuple[str, ...]


class UserForm(AskingDialog[Given | None], Generic[Given]):
    """A dialog whose fields are checked when they are left, and all of them at the end.

    Args:
        title: The dialog's title.
        accept: The label of the button that accepts.
    """

    DEFAULT_CSS = """
    UserForm .caption { color: $foreground; }
    UserForm .note { color: $text-muted; margin-bottom: 1; }
    """

    def __init__(self, title: str, accept: str) -> None:
        super().__init__()
        self._title = title
        self._accept_label = accept

    def body(self) -> ComposeResult:
        """Yield the fields."""
        raise NotImplementedError

    def checks(self) -> dict[str, Callable[[str], str]]:
        """Return the check of each visible field by id; password fields check themselves."""
        raise NotImplementedError

    def remedy(self, name: str, text: str) -> str:
        """Return the label of a button that solves a field's problem, or empty."""
        return ""

    def given(self) -> Given:
        """Return the result, once all fields are valid."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = Content(printable(self._title))
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield from self.body()
            yield from self.buttons(self._accept_label)
        yield KeyFooter()

    def text_of(self, name: str) -> str:
        """Return the text of a field."""
        return self.query_one(f"#{name}", Field).value

    @on(Field.Changed)
    def _typing(self, event: Field.Changed) -> None:
        event.field.show_error("")

    @on(Field.Left)
    def _left(self, event: Field.Left) -> None:
        place = event.field
        check = self.checks().get(place.id or "")
        fault = place.fault if isinstance(place, PasswordField) else ""
        if check is not None and event.value:
            fault = check(event.value)
        if fault:
            place.show_error(fault, self.remedy(place.id or "", event.value))

    def is_right(self, field: Field) -> bool:
        """Check one field."""
        if isinstance(field, PasswordField):
            return field.check()
        check = self.checks().get(field.id or "")
        fault = check(field.value) if check is not None else ""
        field.show_error(fault, self.remedy(field.id or "", field.value) if fault else "")
        return not fault

    def accept(self) -> None:
        """Return the result, or show what is wrong."""
        wrong = [place for place in self.query(Field) if not self.is_right(place)]
        if wrong:
            wrong[0].focus()
        else:
            self.dismiss(self.given())


class RepositoriesField(Field):
    """The repositories of a user; a note below says what a rule without a slash means.

    Args:
        repositories: The repositories at first.
    """

    def __init__(self, repositories: tuple[str, ...]) -> None:
        super().__init__(
            "Repositories",
            id="repositories",
            value=" ".join(repositories),
            placeholder="default: all",
            help_text="For example team-a/app team-b/*",
            explanation=_REPOSITORIES,
        )

    def on_mount(self) -> None:
        """Show the note on the repositories at first."""
        self._show_note()

    @on(Field.Changed)
    def _show_note(self) -> None:
        text = self.value
        self.show_help("" if rules_fault(text) else repositories_note(split_rules(text)))


def rules_part(
    access: str, repositories: tuple[str, ...], caption: str = "Access"
) -> ComposeResult:
    """Yield the fields for access and repositories."""
    yield Static(caption, classes="caption")
    yield Choice(_ACCESS, value=access, id="access")
    yield RepositoriesField(repositories)


def split_rules(text: str) -> tuple[str, ...]:
    """Return the repositories in a text, separated by spaces, commas or semicolons."""
    return tuple(part for part in re.split(r"[\s,;]+", text) if part)


def rules_fault(text: str) -> str:
    """Return what is wrong with a text of repositories, or empty."""
    try:
        edits.check(RegistryUser("user", "", "pull", split_rules(text)))
    except WrongUserError as error:
        return error.reason or error.message
    return ""


def name_fault(users: Users, name: str) -> str:
    """Return why no user with this name can be added, or empty."""
    if not name:
        return "expected a name, such as ci"
    try:
        edits.add(users, RegistryUser(name, ""))
    except WrongUserError as error:
        if name in {user.name for user in users}:
            return error.message
        return error.reason or error.explain()
    return ""


def find_similar(users: Users, name: str) -> RegistryUser | None:
    """Return the user with this name, ignoring case."""
    return next((user for user in users if user.name.lower() == name.lower()), None)


class _WithPassword(UserForm[Given]):
    """A dialog with a password field."""

    def on_mount(self) -> None:
        """Focus the first field, and load the word lists of the strength check."""
        # Loading the word lists takes half a second.
        threading.Thread(target=estimate, args=("word",), name="strength", daemon=True).start()
        self.focus_first()

    def focus_first(self) -> None:
        """Focus the field to start with."""
        raise NotImplementedError

    @property
    def name_typed(self) -> str:
        """The name of the user whose password it is."""
        raise NotImplementedError

    def password_part(self) -> ComposeResult:
        """Yield the password field."""
        yield PasswordField(
            lambda: self.name_typed,
            _INSTEAD,
            id="password",
            placeholder="default: generated",
            help_text=_GENERATED,
            may_be_empty=True,
        )

    def password(self) -> Password:
        """Return the typed password, or a generated one."""
        typed = self.text_of("password")
        if typed:
            return Password(Secret(typed), is_generated=False)
        return Password(generate_password(), is_generated=True)


class NewUserDialog(_WithPassword[NewUser | RegistryUser]):
    """Asks for a new user; returns an existing user if the operator selects it instead.

    Args:
        users: The users with the staged changes, whose names are taken.
    """

    DEFAULT_CSS = "NewUserDialog > .dialog--box { max-height: 21; }"

    def __init__(self, users: Users) -> None:
        super().__init__("Add a user", "Add")
        self.add_class("-tall")
        self._users = users

    def body(self) -> ComposeResult:
        yield Field.at("credentials.users[].name", keeps_own=True, id="name", has_remedy=True)
        yield from rules_part("push", ())
        yield from self.password_part()

    def focus_first(self) -> None:
        self.query_one("#name", Field).focus()

    @property
    def name_typed(self) -> str:
        return self.text_of("name").strip()

    def checks(self) -> dict[str, Callable[[str], str]]:
        return {
            "name": lambda text: name_fault(self._users, text.strip()),
            "repositories": rules_fault,
        }

    def remedy(self, name: str, text: str) -> str:
        existing = find_similar(self._users, text.strip()) if name == "name" else None
        return f"Select {printable(existing.name)}" if existing is not None else ""

    @on(Field.RemedyPressed, "#name")
    def _select_existing(self, event: Field.RemedyPressed) -> None:
        self.dismiss(find_similar(self._users, event.value.strip()))

    def given(self) -> NewUser:
        access: Access = "push" if self.query_one("#access", Choice).value == "push" else "pull"
        return NewUser(
            self.text_of("name").strip(),
            access,
            split_rules(self.text_of("repositories")),
            self.password(),
        )


class PasswordDialog(_WithPassword[Password]):
    """Asks for a user's new password.

    Args:
        user: The user.
    """

    def __init__(self, user: RegistryUser) -> None:
        super().__init__(f"Password of {user.name}", "Change")
        self._user = user

    def body(self) -> ComposeResult:
        yield Static(
            "Once applied, the old password stops working on every server.", classes="note"
        )
        yield from self.password_part()

    def focus_first(self) -> None:
        self.query_one("#password", Field).focus()

    @property
    def name_typed(self) -> str:
        return self._user.name

    def checks(self) -> dict[str, Callable[[str], str]]:
        return {}

    def given(self) -> Password:
        return self.password()


class AccessDialog(UserForm[NewAccess]):
    """Asks for a user's access.

    Args:
        user: The user.
    """

    def __init__(self, user: RegistryUser) -> None:
        super().__init__(f"Access of {user.name}", "Change")
        self._user = user

    def body(self) -> ComposeResult:
        yield Static(Content(printable(f"Now: {rights(self._user)}")), classes="note")
        yield from rules_part(self._user.access or "pull", self._user.repositories)

    def on_mount(self) -> None:
        """Focus the choice of access."""
        self.set_focus(self.query_one("#access"))

    def checks(self) -> dict[str, Callable[[str], str]]:
        return {"repositories": rules_fault}

    def given(self) -> NewAccess:
        access: Access = "push" if self.query_one("#access", Choice).value == "push" else "pull"
        return NewAccess(access, split_rules(self.text_of("repositories")))
