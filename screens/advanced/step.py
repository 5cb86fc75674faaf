"""Advanced: the registry's runtime, ports and configuration, and hooks."""

from __future__ import annotations

import re
from typing import Any

import yaml
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static, TextArea

from moorage.answers.document import read
from moorage.answers.secrets import Secret, Typed
from moorage.deploy.run.hooks import fault_of_script
from moorage.errors import Problem
from moorage.local_file import file_fault
from moorage.registry_keys import paste_variables
from tui.document.paths import parse_path
from tui.document.steps import Step
from tui.fields import label_at, placeholder_of
from tui.labels import field_name
from tui.messages import DraftChanged
from tui.widgets.choice import Choice, Option, Toggle
from tui.widgets.field import Field, ListField
from tui.widgets.key_footer import KeyFooter
from tui.widgets.secret_field import SecretField
from tui.widgets.table import EditableTable
from tui.wizard.form import Form
from tui.wizard.form_dialog import FormDialog
from tui.wizard.list_pane import ListPane
from tui.wizard_session import WizardSession

_RUNTIMES = (
    Option("package", "The distribution's package", "no container engine"),
    Option("docker", "Docker", "the registry image"),
    Option("podman", "Podman", "the registry image"),
)
_ROLLOUTS = (
    Option("rolling", "One server at a time"),
    Option("all_at_once", "All at once"),
)
_MOMENTS = {
    "before_apply": ("before", "Before an apply changes anything"),
    "after_apply": ("after", "After an apply, once the registry answers"),
    "after_users": ("users", "After the users change"),
}
_FAILURES = (
    Option("roll_back", "Roll back", "undo what was changed"),
    Option("go_on", "Only report it"),
)


_MOST_FAULTS = 6
_PULL_LOGIN_SECRET = "registry.image_login.password"  # noqa: S105 # its path


class AdvancedPane(ListPane):
    """Settings whose defaults suit most installations."""

    step = Step.ADVANCED
    items = "hooks"
    question = "Any special requirements?"
    explanation = "The defaults suit most installations."
    help_text = (
        "Settings can be any part of the registry's own configuration and override what Moorage "
        "writes; the environment takes REGISTRY_* variables for the same. In the two text areas, "
        "Enter starts a new line, and Ctrl+N or F8 continues. Hooks are your own scripts; they run "
        "as root on every server."
    )
    example = (
        "log: {level: info}\n"
        "storage: {delete: {enabled: true}}\n"
        "REGISTRY_LOG_LEVEL: info      the same, as environment\n"
        "hooks/tell-the-team.sh        after the users change"
    )
    DEFAULT_CSS = """
    AdvancedPane .caption { color: $foreground; }
    AdvancedPane TextArea { height: 5; background: $panel; }
    AdvancedPane .area-error { color: $text-error; height: auto; min-height: 1; }
    AdvancedPane #image { height: auto; }
    AdvancedPane .row { height: 1; margin-bottom: 1; }
    """

    def body(self) -> ComposeResult:
        yield Static(label_at("registry.runtime"), classes="caption")
        yield Choice(_RUNTIMES, "registry.runtime", id="runtime")
        with Vertical(id="image"):
            yield Field.at("registry.image")
            yield Field.at("registry.image_login.user")
            yield SecretField.at(
                "registry.image_login.password", keeps_own=True, id="pull-password"
            )
            yield Field.at("registry.image_archive")
        yield Field.at("registry.port")
        yield ListField.at("registry.listen")
        yield Toggle.at("registry.proxy_protocol")
        yield Toggle.at("registry.redirect_http", value=True)
        yield Static("Rollout to several servers", classes="caption")
        yield Choice(_ROLLOUTS, "rollout")
        yield Static("Registry settings (YAML)", classes="caption")
        yield TextArea(
            id="settings",
            compact=True,
            tab_behavior="focus",
            placeholder=placeholder_of("registry.settings"),
        )
        yield Static("", id="settings-error", classes="area-error", markup=False)
        yield Static("Registry environment (YAML, or lines of NAME=value)", classes="caption")
        yield TextArea(
            id="environment",
            compact=True,
            tab_behavior="focus",
            placeholder=placeholder_of("registry.environment"),
        )
        yield Static("", id="environment-error", classes="area-error", markup=False)
        yield Static("Hooks: your scripts on every server", classes="caption")
        yield EditableTable(("Hook", "Runs", "Script"))
        with Horizontal(classes="row"):
            yield Button("Add a hook", id="add", compact=True)

    def load(self) -> None:
        """Fill the fields and the table."""
        super().load()
        hooks = self.draft.items("hooks")
        table = self.query_one(EditableTable)
        table.display = bool(hooks)
        table.show_rows([_row(hook) for hook in hooks])
        for name in ("settings", "environment"):
            area = self.query_one(f"#{name}", TextArea)
            value = self.draft.get(f"registry.{name}")
            if not area.text and value:
                area.text = (
                    value
                    if isinstance(value, str)
                    else yaml.safe_dump(value, sort_keys=False, default_flow_style=False)
                )
        password = self.draft.get(_PULL_LOGIN_SECRET)
        field = self.query_one("#pull-password", Field)
        if isinstance(password, Typed):
            field.value = password.secret.reveal()
        elif isinstance(password, dict):
            field.input.placeholder = f"unchanged: {password}"
        self._show_image()

    def problem_of(self, field: Field) -> str:
        """Return what is wrong with a field, or with the file it names."""
        fault = super().problem_of(field)
        if fault or field.path != "registry.image_archive" or not field.value.strip():
            return fault
        return file_fault(field.value.strip())

    def dialog(self, row: int) -> HookDialog:
        """Return the dialog for a hook."""
        return HookDialog(self.session, row)

    def _show_image(self) -> None:
        self.query_one("#image").display = self.query_one("#runtime", Choice).value != "package"

    @on(Choice.Changed, "#runtime")
    def _runtime_chosen(self) -> None:
        self._show_image()

    @on(Field.Changed, "#pull-password")
    def _pull_password_typed(self, event: Field.Changed) -> None:
        if event.value:
            self.draft.set(_PULL_LOGIN_SECRET, Typed(Secret(event.value)))
        elif isinstance(self.draft.get(_PULL_LOGIN_SECRET), Typed):
            self.draft.remove(_PULL_LOGIN_SECRET)
        self.post_message(DraftChanged())

    @on(DraftChanged)
    def _login_cleared(self) -> None:
        if self.draft.get("registry.image_login") == {}:
            self.draft.remove("registry.image_login")

    @on(TextArea.Changed)
    def _area_typed(self, event: TextArea.Changed) -> None:
        name = event.text_area.id or ""
        value, fault = _READERS[name](event.text_area.text)
        path = f"registry.{name}"
        if fault:
            # Keep it as text: the draft loses nothing, and the model rejects it.
            self.draft.set(path, event.text_area.text)
        elif value:
            self.draft.set(path, value)
        else:
            self.draft.remove(path)
        self._show_fault_of(name)
        self.show_fault("")  # of the text before
        self.post_message(DraftChanged())

    def _show_fault_of(self, name: str) -> None:
        area = self.query_one(f"#{name}", TextArea)
        _, fault = _READERS[name](area.text)
        faults = fault.splitlines() or self._problems_below(f"registry.{name}", area.text)
        left_out = len(faults) - _MOST_FAULTS
        lines = [f"✗ {each}" for each in faults[:_MOST_FAULTS]]
        lines += [f"  and {left_out} more"] if left_out > 0 else []
        self.query_one(f"#{name}-error", Static).update("\n".join(lines))

    def _problems_below(self, path: str, text: str) -> list[str]:
        """Return the problems of a text area, each with its line and key."""
        above = parse_path(path)
        return [
            _describe(problem.path[len(above) :], problem.explain(field_name), text)
            for problem in self.problems()
            if problem.path[: len(above)] == above
        ]


def _describe(path: tuple[str | int, ...], message: str, text: str) -> str:
    """Return a problem at a path in a text, with the line and the key."""
    if not path:
        return message
    line = read(text).problem(path, "", at_key=True).line
    lines = enumerate(text.splitlines(), 1)
    # Lines of NAME=value are not YAML.
    line = line or next((number for number, each in lines if str(path[0]) in each), None)
    return f"{_line(line)}{Problem(path, '').dotted}: {message}"


def _line(line: int | None) -> str:
    return f"line {line}: " if line else ""


def read_mapping(text: str) -> tuple[dict[str, Any], str]:
    """Read YAML that must be a mapping; return it and what is wrong, a line each, or empty.

    Args:
        text: The YAML; blank text is an empty mapping.
    """
    document = read(text)
    if document.problems:
        # An error at the end of the text is on the line after it.
        last = len(text.splitlines())
        return {}, "\n".join(
            f"{_line(min(each.line or last, last))}{each.message}" for each in document.problems
        )
    value = document.value
    if value is None:
        return {}, ""
    if not isinstance(value, dict):
        return {}, "line 1: expected NAME: VALUE, such as log: {level: info}"
    return value, ""


def read_variables(text: str) -> tuple[dict[str, Any], str]:
    """Read variables as YAML or as lines of NAME=value; return them and what is wrong, or empty.

    Args:
        text: The text; blank text is no variables.
    """
    variables, fault = read_mapping(text)
    is_yaml = not fault or _BEGINS_AS_YAML.match(text)
    return (variables, fault) if is_yaml else paste_variables(text)


_READERS = {"settings": read_mapping, "environment": read_variables}
_BEGINS_AS_YAML = re.compile(r"\s*(?:#.*\n\s*)*[A-Za-z_]\w*:(?:\s|$)")


class HookForm(Form):
    """The fields of a hook; its script must be a file on this machine."""

    def problem_of(self, field: Field) -> str:
        """Return what is wrong with a field, or with the file it names."""
        fault = super().problem_of(field)
        if fault or not field.path.endswith(".script"):
            return fault
        return fault_of_script(field.value.strip())


class HookDialog(FormDialog):
    """Adds or edits one hook.

    Args:
        session: The deployment that is open.
        row: The hook's position in the list; -1 for a new one.
    """

    DEFAULT_CSS = """
    HookDialog > .dialog--box { height: 90%; max-height: 27; }
    HookDialog Toggle { margin-bottom: 0; }
    HookDialog #when-error { color: $text-error; height: auto; min-height: 1; }
    """

    def __init__(self, session: WizardSession, row: int) -> None:
        super().__init__(session.draft, "hooks", row, {"when": ["after_apply"]})

    def compose(self) -> ComposeResult:
        when = self.scratch.get(f"{self.place}.when", [])
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Add a hook" if self.is_new else "Edit the hook"
            with HookForm(self.scratch):
                yield Field.at(f"{self.place}.name")
                yield Field.at(f"{self.place}.script")
                yield Static(label_at("hooks[].when"))
                for moment, (_, label) in _MOMENTS.items():
                    yield MomentToggle(moment, label, value=moment in when)
                yield Static("", id="when-error", markup=False)
                yield Static(label_at("hooks[].on_failure"))
                yield Choice(_FAILURES, f"{self.place}.on_failure")
                yield Field.at(f"{self.place}.timeout")
            yield from self.buttons("Add" if self.is_new else "OK")
        yield KeyFooter()

    @on(Toggle.Changed)
    def _moment_chosen(self) -> None:
        chosen = [each.moment for each in self.query(MomentToggle) if each.value]
        self.scratch.set(f"{self.place}.when", chosen)
        self._check_moments()

    def _check_moments(self) -> bool:
        has_any = bool(self.scratch.items(f"{self.place}.when"))
        fault = "" if has_any else "✗ Choose at least one"
        self.query_one("#when-error", Static).update(fault)
        return has_any

    def show_problems(self) -> bool:
        """Show what is wrong with the fields and the moments, which have no field."""
        fields_are_good, has_moments = super().show_problems(), self._check_moments()
        if fields_are_good and not has_moments:
            self.query(MomentToggle).first().focus()
        return fields_are_good and has_moments

    def accept(self) -> None:
        """Accept the hook if it is valid."""
        if self.show_problems():
            self.dismiss(self.scratch.get(self.place))


class MomentToggle(Toggle):
    """Switches whether a hook runs at a moment.

    Args:
        moment: The moment, as the answers name it.
        label: The moment for people.
        value: Whether it does initially.
    """

    def __init__(self, moment: str, label: str, *, value: bool) -> None:
        super().__init__(label, value=value)
        self.moment = moment


def _row(hook: dict[str, Any]) -> tuple[str, str, str]:
    when = hook.get("when") or ()
    runs = [words for moment, (words, _) in _MOMENTS.items() if moment in when]
    return str(hook.get("name", "")), ", ".join(runs), str(hook.get("script", ""))
