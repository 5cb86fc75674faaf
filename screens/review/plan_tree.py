"""The plan as a tree of servers and their changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from moorage.deploy.plan.plan import Change, Kind, Plan, ServerPlan
from moorage.desired.masking import kind_of_secret
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
    Kind.RECORD: "Record",
}


_RANKS = (Action.CHANGE, Action.REMOVE, Action.ADD, Action.RUN)


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
    def most_interesting(self) -> TreeNode[Subject]:
        """The line to look at first: a file, or the first server if no file changes.

        Edits that an apply discards come first, then changed, removed and new files; files whose
        secrets are masked come last.
        """
        lines = self.root.children
        servers = [line for line in lines if isinstance(line.data, tuple)]
        leaves = (leaf for server in servers for branch in server.children
                  for leaf in branch.children)  # fmt: skip
        ranks = [(rank, leaf) for leaf in leaves if (rank := _interest(leaf.data)) is not None]
        if ranks:
            return min(ranks, key=lambda each: each[0])[1]
        return servers[0] if servers else lines[0]

    def select_next(self, is_wanted: Callable[[Subject], bool]) -> bool:
        """Select the next line below the cursor, or from the top, that is wanted.

        Args:
            is_wanted: Returns whether a line with this subject is.

        Returns:
            Whether there is one.
        """
        lines = list(_below(self.root))
        here = lines.index(self.cursor_node) + 1 if self.cursor_node in lines else 0
        found = next((line for line in lines[here:] + lines[:here] if is_wanted(line.data)), None)
        if found is None:
            return False
        if found.parent is not None:
            found.parent.expand()
        self.call_after_refresh(self.move_cursor, found)
        return True

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
            names = _short_names(changes)
            for change in changes:
                name = names.get(change.subject, change.subject)
                below.add_leaf(_line(change, name), data=(server, change))
        if (same := server.unchanged_files) > 0:
            branch.add_leaf(Text(f"= {same} file{'s' if same != 1 else ''} unchanged"))


def _below(node: TreeNode[Subject]) -> Iterator[TreeNode[Subject]]:
    """Yield the lines below a line, in order."""
    for child in node.children:
        yield child
        yield from _below(child)


def _interest(subject: Subject) -> tuple[bool, bool, int] | None:
    """Return how late a line is looked at; None for lines that are not about a file."""
    match subject:
        case (_, Change(kind=Kind.FILE) as change):
            is_secret = kind_of_secret(change.subject) is not None
            return not change.drift, is_secret, _RANKS.index(change.action)
    return None


def _short_names(changes: Sequence[Change]) -> dict[str, str]:
    """Return the names of files and folders, with the folder above where names are the same."""
    paths = [PurePosixPath(change.subject) for change in changes]
    names = Counter(path.name for path in paths)
    return {
        str(path): path.name if names[path.name] == 1 else f"{path.parent.name}/{path.name}"
        for path in paths
    }


def _line(change: Change, name: str) -> Text:
    word = change.action.participle
    parts: list[str | tuple[str, str]] = [f"{change.action.sign} "]
    if change.kind in {Kind.FILE, Kind.FOLDER}:
        parts += [printable(name), f"  {change.size or word}"]
        parts += ["  edited on the server"] if change.drift else []
    else:
        parts.append(printable(change.subject))
        if change.action in {Action.CHANGE, Action.REMOVE}:
            parts.append(f"  {word}")
    return Text.assemble(*parts)
