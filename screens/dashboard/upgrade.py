"""Upgrades of the registry's program, from the dashboard."""

from __future__ import annotations

from textual.content import Content

from moorage.answers.model import Answers
from moorage.deploy.lifecycle.upgrade import Upgrade, Wish, answers_of_upgrade, upgrades_of
from moorage.deploy.plan.plan import Plan
from moorage.escape import printable
from tui.consequences_text import describe_effects
from tui.labels import describe_error
from tui.widgets.dialog import ConfirmDialog, TextDialog
from tui.wizard_session import WizardSession

_ABOUT = (
    "The new version starts in the idle slot of each server, and has to read stored images before "
    "it gets any request. No request fails.\n\nThe servers fetch their package lists, or pull the "
    "image, before you see the plan."
)


class UpgradeDialog(TextDialog):
    """Asks for the version, or for the image.

    Args:
        answers: The deployment's answers.
    """

    def __init__(self, answers: Answers) -> None:
        self._runs_package = all(
            answers.for_server(each.host).registry.runtime == "package" for each in answers.servers
        )
        super().__init__(
            "Upgrade the registry",
            "Version" if self._runs_package else "Image",
            text=_ABOUT,
            value="" if self._runs_package else answers.registry.image,
            help_text="Such as 2.8.3; empty for the newest"
            if self._runs_package
            else "The same name pulls the image again",
            accept="Show the plan",
        )

    def fault(self, text: str) -> str:
        """Allow no version, but not no image."""
        return "" if text or self._runs_package else "Required"

    def wish(self, text: str) -> Wish:
        """Return what was asked for."""
        return Wish(version=text or None) if self._runs_package else Wish(image=text)


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
        Content("\n").join([*lines, *describe_effects(plan)]),
        "Upgrade",
        careful=bool(plan.destructive),
    )


def plan_upgrade(session: WizardSession, wish: Wish) -> tuple[Plan, tuple[Upgrade, ...]]:
    """Open the deployment with the answers of an upgrade, and plan it. Blocks.

    Args:
        session: The deployment that is open.
        wish: What to upgrade to.

    Raises:
        MoorageError: It is not possible.
    """
    operations = session.operations
    operations.open(answers_of_upgrade(session.answers(), wish))
    plan = operations.plan_upgrade(wish)
    return plan, upgrades_of(plan)


def problems_of(plan: Plan) -> str:
    """Return the problems of a plan in words; empty without any."""
    return "\n".join(describe_error(each) for each in plan.problems)
