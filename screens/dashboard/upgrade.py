"""Upgrades of the registry's program, from the dashboard."""

from __future__ import annotations

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from moorage.answers.model import Answers
from moorage.deploy.lifecycle.upgrade import Upgrade, Wish, answers_of_upgrade, upgrades_of
from moorage.deploy.plan.plan import Plan
from moorage.escape import printable
from screens.dashboard.server_choice import chosen_servers, server_choice
from tui.consequences_text import describe_effects
from tui.labels import describe_error
from tui.widgets.dialog import AskingDialog, ConfirmDialog
from tui.widgets.field import Field
from tui.widgets.key_footer import KeyFooter
from tui.wizard_session import WizardSession

_ABOUT = (
    "The new version starts in the idle slot of each server, and has to read stored images before "
    "it gets any request. No request fails.\n\nThe servers fetch their package lists, or pull the "
    "image, before you see the plan."
)


@dataclass(frozen=True)
class UpgradeWish:
    """The wish for an upgrade.

    Attributes:
        wish: The version or image.
        limit: The servers, by label; all when empty.
    """

    wish: Wish
    limit: tuple[str, ...] = ()


class UpgradeDialog(AskingDialog[UpgradeWish | None]):
    """Asks for the version, or for the image, and for the servers if there are several.

    Args:
        answers: The deployment's answers.
    """

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self._runs_package = all(
            answers.for_server(each.host).registry.runtime == "package" for each in answers.servers
        )
        self._field = Field(
            "Version" if self._runs_package else "Image",
            value="" if self._runs_package else answers.registry.image,
            help_text="Such as 2.8.3; empty for the newest"
            if self._runs_package
            else "The same name pulls the image again",
        )
        self._servers = server_choice(answers)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Upgrade the registry"
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(_ABOUT, classes="dialog--text", markup=False)
                yield self._field
                if self._servers is not None:
                    yield self._servers
            yield from self.buttons("Show the plan")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start typing at once."""
        self._field.focus()

    def is_right(self, field: Field) -> bool:
        """Allow no version, but not no image."""
        is_right = bool(field.value) or self._runs_package
        field.show_error("" if is_right else "Required")
        return is_right

    def accept(self) -> None:
        """Return what was asked for."""
        text = self._field.value
        if self.is_right(self._field):
            wish = Wish(version=text or None) if self._runs_package else Wish(image=text)
            self.dismiss(UpgradeWish(wish, chosen_servers(self._servers)))


def question(plan: Plan, upgrades: tuple[Upgrade, ...]) -> ConfirmDialog:
    """Return the question whether to upgrade, with the plan.

    Args:
        plan: The plan, which has no problems.
        upgrades: What it changes.
    """
    lines = [Content(printable(f"{each.server}: {each.before} → {each.after}"))
             for each in upgrades]  # fmt: skip
    return ConfirmDialog(
        "Upgrade the registry?",
        Content("\n").join([*lines, *describe_effects(plan), Content(plan.summary)]),
        "Upgrade",
        careful=bool(plan.destructive),
    )


def plan_upgrade(session: WizardSession, wanted: UpgradeWish) -> tuple[Plan, tuple[Upgrade, ...]]:
    """Open the deployment with the answers of an upgrade, and plan it. Blocks.

    Args:
        session: The deployment that is open.
        wanted: What to upgrade.

    Raises:
        MoorageError: It is not possible.
    """
    operations = session.operations
    answers = answers_of_upgrade(session.answers(), wanted.wish, wanted.limit)
    operations.open(answers, wanted.limit)
    plan = operations.plan_upgrade(wanted.wish)
    return plan, upgrades_of(plan)


def problems_of(plan: Plan) -> str:
    """Return the problems of a plan in words; empty without any."""
    return "\n".join(describe_error(each) for each in plan.problems)
