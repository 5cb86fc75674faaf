"""The plan as a tree of servers and their changes."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from moorage.deploy.plan import Change, Kind, Plan, ServerPlan
from moorage.dns.operations import DnsPlan
from moorage.dns.records import RecordChange
from moorage.escape import printable
from moorage.rows import Action
from tui.actions import bindings

Subject = tuple[ServerPlan, Change | None] | DnsPlan | RecordChange | None
"""The subject of a line: a server, one of its changes, DNS, a record, or nothing."""

_KINDS = {
    Kind.PACKAGE: "Packages",
    Kind.ACCOUNT: "Accounts",
    Kind.IMAGE: "Images",
    Kind.FOLDER: "Folders",
    Kind.FILE: "Files",
    Kind.SERVICE: "Services",
    Kind.HOOK: "Hooks",
}


class PlanTree(Tree[Subject]):
    """Servers and their changes; Enter is left to the form."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("plan_tree")

    class Entered(Message):
        """Enter was pressed."""

    def on_mount(self) -> None:
        """Hide the root, which has no label."""
        self.show_root = False
        self.guide_depth = 2

    def show(self, plan: Plan, dns: DnsPlan | None = None) -> None:
        """Show a plan.

        Args:
            plan: The plan for the servers.
            dns: The plan for DNS records; None if Moorage does not manage them.
        """
        self.clear()
        if dns is not None:
            self._add_name(dns)
        for server in plan.servers:
            self._add_server(server)

    @property
    def first_difference(self) -> TreeNode[Subject]:
        """The line of the first changed file; if there is none, that of the first server."""
        lines = self.root.children
        server = next((line for line in lines if isinstance(line.data, tuple)), lines[0])
        for line in (leaf for branch in server.children for leaf in branch.children):
            match line.data:
                case (_, Change(kind=Kind.FILE)):
                    return line
        return server

    def action_wizard_go_on(self) -> None:
        """Leave Enter to the form."""
        self.post_message(self.Entered())

    def action_collapse(self) -> None:
        """Close the branch under the cursor, or go to its parent."""
        node = self.cursor_node
        if node is not None and node.is_expanded and node.allow_expand:
            node.collapse()
        else:
            self.action_cursor_parent()

    def action_expand(self) -> None:
        """Open the branch under the cursor."""
        if self.cursor_node is not None:
            self.cursor_node.expand()

    def _add_name(self, dns: DnsPlan) -> None:
        count = len(dns.changes)
        summary = f"{count} record set{'s' if count != 1 else ''}" if count else "nothing to change"
        label = Text.assemble(("DNS", "bold"), f"  {summary}")
        branch = self.root.add(label, data=dns, expand=True)
        for change in dns.changes:
            either = change.after or change.before
            values = ", ".join(either.values) if either else ""
            foreign = "not Moorage's, " if change.is_foreign else ""
            kind, action = either.kind if either else "", change.action
            text = f"{action.sign} {kind}  {foreign}{action.participle}  {values}"
            branch.add_leaf(Text(printable(text)), data=change)

    def _add_server(self, server: ServerPlan) -> None:
        count = len(server.changes)
        summary = f"{count} change{'s' if count != 1 else ''}" if count else "nothing to change"
        label = Text.assemble((printable(server.server), "bold"), f"  {summary}")
        branch = self.root.add(label, data=(server, None), expand=True)
        for kind, title in _KINDS.items():
            changes = [change for change in server.changes if change.kind is kind]
            if not changes:
                continue
            is_worth_a_look = kind is not Kind.FOLDER
            below = branch.add(Text(f"{title} ({len(changes)})"), expand=is_worth_a_look)
            for change in changes:
                below.add_leaf(_line(change), data=(server, change))
        if (same := server.unchanged_files) > 0:
            branch.add_leaf(Text(f"= {same} file{'s' if same != 1 else ''} unchanged"))


def _line(change: Change) -> Text:
    word = change.action.participle
    drift = ", edited on the server" if change.drift else ""
    parts: list[str | tuple[str, str]] = [f"{change.action.sign} "]
    if change.kind in {Kind.FILE, Kind.FOLDER}:
        path = PurePosixPath(change.subject)
        # The name first, because paths differ at the end.
        parts += [printable(path.name), f"  {word}{drift}",
                  f"  {printable(str(path.parent))}"]  # fmt: skip
    else:
        parts.append(printable(change.subject))
        if change.action in {Action.CHANGE, Action.REMOVE}:
            parts.append(f"  {word}")
    return Text.assemble(*parts)
