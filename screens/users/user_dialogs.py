"""Dialogs about one user: a new one, another password, another access."""

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
    Option("push", "Push", "may push, pull and delete"),
    Option("pull", "Pull", "may only pull"),
)
_MADE = "Empty: Moorage makes one and shows it once"
_INSTEAD = "Leave it empty, and Moorage makes one."


@dataclass(frozen=True)
class Password:
    """A new password.

    Attributes:
        secret: The password.
        is_made: Whether Moorage made it, so that it has to be shown.
    """

    secret: Secret = field(repr=False)
    is_made: bool


@dataclass(frozen=True)
class NewUser:
    """A user to add."""

    name: str
    access: Access
    repositories: tuple[str, ...]
    password: Password


@dataclass(frozen=True)
class NewAccess:
    """What a user may do from now on."""

    access: Access
    repositories: tuple[str, ...]


class UserForm(AskingDialog[Given | None], Generic[Given]):
    """A dialog of fields that are checked on leaving them and all together at the end.

    Args:
        title: What it is about.
        accept: What the button that does it says.
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
        """Yield what is asked for."""
        raise NotImplementedError

    def checks(self) -> dict[str, Callable[[str], str]]:
        """Return what judges each field that is shown, by its id; a password judges itself."""
        raise NotImplementedError

    def way_out(self, name: str, text: str) -> str:
        """Return what the button says that is a way out of what is wrong in a field, or empty."""
        return ""

    def given(self) -> Given:
        """Return what was decided, once nothing is wrong."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = Content(printable(self._title))
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield from self.body()
            yield from self.buttons(self._accept_label)
        yield KeyFooter()

    def text_of(self, name: str) -> str:
        """Return what is typed in a field."""
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
            place.show_error(fault, self.way_out(place.id or "", event.value))

    def is_right(self, field: Field) -> bool:
        """Check one field."""
        if isinstance(field, PasswordField):
            return field.check()
        check = self.checks().get(field.id or "")
        fault = check(field.value) if check is not None else ""
        field.show_error(fault, self.way_out(field.id or "", field.value) if fault else "")
        return not fault

    def accept(self) -> None:
        """Take what was given, or show what is wrong with it."""
        wrong = [place for place in self.query(Field) if not self.is_right(place)]
        if wrong:
            wrong[0].focus()
        else:
            self.dismiss(self.given())


def rules_part(
    access: str, repositories: tuple[str, ...], caption: str = "Access"
) -> ComposeResult:
    """Yield what asks for an access and repositories."""
    yield Static(caption, classes="caption")
    yield Choice(_ACCESS, value=access, id="access")
    yield Field(
        "Repositories",
        id="repositories",
        value=" ".join(repositories),
        placeholder="default: all",
        help_text="Such as team-a/app team-b/*",
    )


def split_rules(text: str) -> tuple[str, ...]:
    """Return the repositories in what was typed, whatever is between them."""
    return tuple(part for part in re.split(r"[\s,;]+", text) if part)


def rules_fault(text: str) -> str:
    """Return what is wrong with repositories as they were typed, or empty."""
    try:
        edits.check(RegistryUser("somebody", "", "pull", split_rules(text)))
    except WrongUserError as error:
        return error.reason or error.message
    return ""


def name_fault(users: Users, name: str) -> str:
    """Return why nobody can be added under a name, or empty."""
    if not name:
        return "wanted: a name, such as ci"
    try:
        edits.add(users, RegistryUser(name, ""))
    except WrongUserError as error:
        if name in {user.name for user in users}:
            return error.message
        return error.reason or error.explain()
    return ""


def like(users: Users, name: str) -> RegistryUser | None:
    """Return the user who has a name, or one that differs in capitals only."""
    return next((user for user in users if user.name.lower() == name.lower()), None)


class _WithPassword(UserForm[Given]):
    """What the dialogs with a password have in common."""

    def on_mount(self) -> None:
        """Start typing at once."""
        # Its word lists take half a second to load.
        threading.Thread(target=estimate, args=("word",), name="strength", daemon=True).start()
        self.focus_first()

    def focus_first(self) -> None:
        """Move the focus where typing starts."""
        raise NotImplementedError

    @property
    def name_typed(self) -> str:
        """Whose password it is."""
        raise NotImplementedError

    def password_part(self) -> ComposeResult:
        """Yield the field for the password."""
        yield PasswordField(
            lambda: self.name_typed,
            _INSTEAD,
            id="password",
            placeholder="default: made by Moorage",
            help_text=_MADE,
            may_be_empty=True,
        )

    def password(self) -> Password:
        """Return the password, made now unless it was typed."""
        typed = self.text_of("password")
        if typed:
            return Password(Secret(typed), is_made=False)
        return Password(generate_password(), is_made=True)


class NewUserDialog(_WithPassword[NewUser | RegistryUser]):
    """Asks for a new user; returns the one who is there when that is who was meant.

    Args:
        users: The users as they will be, whose names are taken.
    """

    DEFAULT_CSS = "NewUserDialog > .dialog--box { max-height: 21; }"

    def __init__(self, users: Users) -> None:
        super().__init__("Add a user", "Add")
        self.add_class("-tall")
        self._users = users

    def body(self) -> ComposeResult:
        yield Field.at("credentials.users[].name", keeps_own=True, id="name", has_way_out=True)
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

    def way_out(self, name: str, text: str) -> str:
        there = like(self._users, text.strip()) if name == "name" else None
        return f"Select {printable(there.name)}" if there is not None else ""

    @on(Field.WayOut, "#name")
    def _select_who_is_there(self, event: Field.WayOut) -> None:
        self.dismiss(like(self._users, event.value.strip()))

    def given(self) -> NewUser:
        access: Access = "push" if self.query_one("#access", Choice).value == "push" else "pull"
        return NewUser(
            self.text_of("name").strip(),
            access,
            split_rules(self.text_of("repositories")),
            self.password(),
        )


class PasswordDialog(_WithPassword[Password]):
    """Asks for another password of somebody.

    Args:
        user: Whose.
    """

    def __init__(self, user: RegistryUser) -> None:
        super().__init__(f"Password of {user.name}", "Change it")
        self._user = user

    def body(self) -> ComposeResult:
        yield Static(
            "The old one is refused from the next request on, on every server.", classes="note"
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
    """Asks what somebody may do.

    Args:
        user: Who.
    """

    def __init__(self, user: RegistryUser) -> None:
        super().__init__(f"Access of {user.name}", "Change it")
        self._user = user

    def body(self) -> ComposeResult:
        yield Static(Content(printable(f"Now: {rights(self._user)}")), classes="note")
        yield from rules_part(self._user.access or "pull", self._user.repositories)

    def on_mount(self) -> None:
        """Start where access is chosen."""
        self.set_focus(self.query_one("#access"))

    def checks(self) -> dict[str, Callable[[str], str]]:
        return {"repositories": rules_fault}

    def given(self) -> NewAccess:
        access: Access = "push" if self.query_one("#access", Choice).value == "push" else "pull"
        return NewAccess(access, split_rules(self.text_of("repositories")))
