"""Removes the registry from its servers, from the dashboard."""

from __future__ import annotations

from collections.abc import Iterator

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from moorage.answers.model import Answers
from moorage.deploy.events import Event
from moorage.deploy.lifecycle.uninstall import (
    LEGEND,
    UninstallPlan,
    UninstallReport,
    Wish,
    plan_uninstall,
    uninstall,
)
from moorage.deploy.operations import OpenTransport, Operations, OperatorAsker
from moorage.errors import ExitCode
from moorage.escape import one_line, printable
from moorage.rows import Level
from tui.events import EventQueue
from tui.labels import describe_error
from tui.outcome_text import describe_server
from tui.run_dialog import RunDialog
from tui.widgets.choice import Toggle
from tui.widgets.dialog import AskingDialog, ConfirmDialog
from tui.widgets.field import Field
from tui.widgets.indented import Indented
from tui.widgets.key_footer import KeyFooter

TITLE = "Uninstall the registry"
_ABOUT = (
    "Stops the registry and removes all that Moorage put on its servers. The plan comes next; "
    "nothing is removed before you confirm it."
)
_IMAGES = "For good. Without this, a later install serves them again"
_PACKAGES = "Those that Moorage installed, unless something else uses them"
_COLOURS = {Level.BAD: "$text-error", Level.WARNING: "$text-warning"}


class Uninstaller:
    """Removes a deployment's registry, over connections of its own. Its methods block.

    Args:
        answers: The deployment's answers.
        asker: Asks the operator for host keys and secrets.
        open_transport: Opens a connection; None goes over SSH.
    """

    def __init__(
        self, answers: Answers, asker: OperatorAsker, open_transport: OpenTransport | None
    ) -> None:
        self.name = answers.registry.domain
        self._answers = answers
        self._events = EventQueue()
        self._operations = Operations(asker, self._events.put, open_transport)

    def plan(self, wish: Wish) -> UninstallPlan:
        """Plan; see :func:`moorage.deploy.lifecycle.uninstall.plan_uninstall`."""
        return plan_uninstall(self._operations.open(self._answers), wish)

    def run(self, plan: UninstallPlan) -> UninstallReport:
        """Remove the registry; see :func:`moorage.deploy.lifecycle.uninstall.uninstall`."""
        return uninstall(self._operations.deployment, plan)

    def events(self) -> list[Event]:
        """Return the events since the last call, in order."""
        return self._events.take()

    def cancel(self) -> None:
        """Stop the runs that have not begun to remove anything."""
        self._operations.deployment.abort()

    def close(self) -> None:
        """Close the connections."""
        if self._operations.is_open:
            self._operations.deployment.close()


class WishDialog(AskingDialog[Wish | None]):
    """Asks what goes besides the registry."""

    DEFAULT_CSS = """
    WishDialog Toggle { margin-bottom: 0; }
    WishDialog .toggle--help { height: auto; padding-left: 5; color: $text-muted; }
    WishDialog #packages-help { margin-bottom: 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._images = Toggle("Delete the images")
        self._packages = Toggle("Remove the packages")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = TITLE
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(_ABOUT, classes="dialog--text", markup=False)
                yield self._images
                yield Static(_IMAGES, classes="toggle--help", markup=False)
                yield self._packages
                yield Static(_PACKAGES, classes="toggle--help", id="packages-help", markup=False)
            yield from self.buttons("Show the plan")
        yield KeyFooter()

    def accept(self) -> None:
        """Return what was chosen."""
        self.dismiss(Wish(self._images.value, self._packages.value))


class PlanDialog(AskingDialog[bool | None]):
    """Shows the plan, and has the registry's name typed.

    Args:
        plan: The plan, which has changes and no problems.
        name: The name to type.
    """

    DEFAULT_CSS = """
    PlanDialog > .dialog--box { width: 104; }
    """

    def __init__(self, plan: UninstallPlan, name: str) -> None:
        super().__init__()
        self._plan = plan
        self._name = name
        self._field = Field("Name", help_text=f"Type {printable(name)} to remove it")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = f"{TITLE}?"
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield from plan_rows(self._plan)
            yield self._field
            yield from self.buttons("Uninstall")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start typing at once."""
        self._field.focus()

    def accept(self) -> None:
        """Return that the name was typed, or show that it was not."""
        if self._field.value.strip() == self._name:
            self.dismiss(True)
        else:
            self._field.show_error("This is not the registry's name")

    @on(Field.Changed)
    def _typing(self) -> None:
        self._field.show_error("")


class UninstallDialog(RunDialog[UninstallReport | None]):
    """Follows an uninstall, and shows how it ended on each server.

    Args:
        uninstaller: Removes the registry.
        plan: The plan, which the operator has confirmed.
    """

    def __init__(self, uninstaller: Uninstaller, plan: UninstallPlan) -> None:
        super().__init__(TITLE, [each.server for each in plan.servers], "Cancel")
        self._uninstaller = uninstaller
        self._plan = plan
        self._good: set[str] = set()

    def run_it(self) -> UninstallReport:
        """Remove the registry; blocks."""
        return self._uninstaller.run(self._plan)

    def new_events(self) -> list[Event]:
        """Return the events since the last call."""
        return self._uninstaller.events()

    def is_good_on(self, server: str) -> bool:
        """Return whether the registry was removed from a server."""
        return server in self._good

    def ending(self, result: UninstallReport | None) -> Content | None:
        """Return how it ended on each server."""
        if result is None:
            return None
        self._good = {each.server for each in result.servers if each.is_good}
        return report_text(result, was_stopped=self.is_cancelled)

    @work
    async def action_cancel(self) -> None:
        """Ask whether to cancel."""
        if (
            await self.app.push_screen_wait(
                ConfirmDialog(
                    "Cancel the uninstall?",
                    "Servers that have begun to remove the registry finish; the others keep it.",
                    "Cancel the uninstall",
                    "Keep watching",
                    careful=True,
                )
            )
            and not self.has_ended
        ):
            self.is_cancelled = True
            self._uninstaller.cancel()


def plan_rows(plan: UninstallPlan) -> Iterator[Widget]:
    """Yield what goes and what stays on each server, warnings first."""
    for server in plan.servers:
        yield Static(Content.styled(one_line(server.server), "bold"))
        width = max((len(row.label) for _, row in server.rows), default=0)
        for sign, row in server.rows:
            head = Content.styled(f"{sign} ", "$text-error" if sign == "-" else "")
            yield Indented(
                head + Content(f"{row.label:<{width}}  "),
                Content.styled(one_line(row.text), _COLOURS.get(row.level, "")),
            )
    for name in plan.empty:
        yield Static(f"{one_line(name)}: nothing to remove", markup=False)
    for each in plan.unreached:
        yield Indented(Content("! "), Content(printable(describe_error(each))))
    yield Static(Content.styled(f"\n{LEGEND}", "$text-muted"), classes="dialog--text")


def report_text(report: UninstallReport, *, was_stopped: bool = False) -> Content:
    """Return how an uninstall ended on each server."""
    lines = []
    for each in report.servers:
        if not each.is_good:
            text = describe_server(each, was_stopped=was_stopped)
            lines.append(Content.styled("✗ ", "bold $text-error")
                         + Content(printable(f"{each.server}: {text}")))  # fmt: skip
        lines += [Content(printable(f"! {each.server}: {text}")) for text in each.warnings]
    if report.summary:
        sign = "✓" if report.exit_code == ExitCode.DONE else "!"
        lines.append(Content.styled(printable(f"{sign} {report.summary}"), "bold"))
    if report.advice:
        lines.append(Content(printable(report.advice)))
    return Content("\n").join(lines)
