"""Overview: problems first, the space, and the status of each server."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from moorage.answers.recorded import RecordedServer
from moorage.deploy.record.left_servers import LeftServer
from moorage.deploy.status.repairs import Repair, repair_of
from moorage.deploy.status.rows import status_rows
from moorage.deploy.status.status import ServerStatus, Status
from moorage.errors import MoorageError
from moorage.escape import printable
from moorage.images.space import Part
from moorage.rows import Level
from tui.labels import explain
from tui.signs import COLOURS
from tui.widgets.indented import Indented
from tui.widgets.storage_bar import StorageBar

NOTES = ("pending", "unverified", "unseen", "versions")
"""What there is to say about the deployment as a whole, by ID."""
_KEYS = {
    Repair.APPLY: "v: review and apply",
    Repair.SETTINGS: "s: settings",
    Repair.LOGS: "l: logs",
    Repair.IMAGES: "i: images",
    Repair.CONNECT: "Ctrl+R: read again",
    Repair.UNINSTALL: "Shift+X: uninstall",
}
"""The key for each repair."""


class OverviewTab(VerticalScroll):
    """The state of a deployment."""

    DEFAULT_CSS = """
    OverviewTab { padding: 1 2 0 2; height: 1fr; }
    OverviewTab #verdict Static { text-style: bold; }
    OverviewTab #pending, OverviewTab #unverified, OverviewTab #unseen {
        color: $text-warning; display: none;
    }
    OverviewTab #space { height: auto; margin-top: 1; display: none; }
    OverviewTab #space StorageBar { padding: 0; }
    OverviewTab #growth { height: auto; color: $text-muted; }
    OverviewTab #servers { height: auto; margin-top: 1; }
    OverviewTab .server {
        height: auto; background: $surface; padding: 0 2; margin-bottom: 1;
    }
    """

    def __init__(self) -> None:
        super().__init__(id="overview", can_focus=False)

    def compose(self) -> ComposeResult:
        yield Indented(id="verdict")
        for name in NOTES:
            yield Indented(id=name)
        with Vertical(id="space"):
            yield StorageBar()
            yield Static("", id="growth", markup=False)
        yield Vertical(id="servers")

    def say(self, sign: str, text: str, colour: str = "") -> None:
        """Show the verdict."""
        verdict = self.query_one("#verdict", Indented)
        verdict.show(Content.styled(sign, colour), Content.styled(text, colour))

    def note(self, name: str, sign: str, text: str) -> None:
        """Show or hide a note.

        Args:
            name: One of :data:`NOTES`.
            sign: Its sign.
            text: Its text; empty to hide it.
        """
        shown = self.query_one(f"#{name}", Indented)
        shown.display = bool(text)
        shown.show(Content(sign), Content(printable(text)))

    def show_space(
        self, parts: tuple[Part, ...], growth: str = "", at: float | None = None
    ) -> None:
        """Show the space and how fast it grows.

        Args:
            parts: The parts of the space; none hides it.
            growth: A sentence; may be empty.
            at: When the images were read, in seconds since 1970; None for the time of the status.
        """
        self.query_one("#space").display = bool(parts)
        self.query_one(StorageBar).show(parts, at)
        self.query_one("#growth", Static).update(growth)

    async def show_servers(self, status: Status) -> None:
        """Show the status of each server, those that need attention first."""
        place, top = self.query_one("#servers"), self.scroll_y
        in_need = [each for each in status.servers if not each.is_healthy]
        healthy = [each for each in status.servers if each.is_healthy]
        with self.app.batch_update():
            await place.remove_children()
            await place.mount(
                *(Vertical(*_error_lines(each), classes="server") for each in status.unreached),
                *(Vertical(*_server_lines(each), classes="server") for each in in_need),
                *(Vertical(*_left_lines(each), classes="server") for each in status.left),
                *(Vertical(*_server_lines(each), classes="server") for each in healthy),
                *(Vertical(*_other_lines(each), classes="server") for each in status.others),
            )
        self.call_after_refresh(self.scroll_to, y=top, animate=False, immediate=True)


def _server_lines(server: ServerStatus) -> Iterator[Indented]:
    """Yield the status of a server, its problems first."""
    sign, colour = ("✓", "$text-success") if server.is_healthy else ("!", "$text-warning")
    yield _name_line(sign, colour, server.server, f"  {server.os_name}")
    for problem in server.problems:
        text = Content.styled(printable(explain(problem)), "$text-warning")
        yield Indented(Content.styled("  ✗ ", "$text-warning"), text + _key(problem))
    rows = status_rows(server)
    width = max((len(row.label) for row in rows), default=0)
    for row in rows:
        head = Content.styled(f"  {row.label:<{width}}  ", "$text-muted")
        colour = COLOURS[row.level] if row.level in {Level.WARNING, Level.BAD} else ""
        key = Content.styled(" (g: upgrade)" * (row.key == "registry_update"), "$text-muted")
        yield Indented(head, Content.styled(printable(row.text), colour) + key)


def _key(problem: MoorageError) -> Content:
    """Return the key that repairs a problem; nothing if none does."""
    repair = repair_of(problem)
    return Content.styled(f" ({_KEYS[repair]})", "$text-muted") if repair else Content("")


def _error_lines(error: MoorageError) -> Iterator[Indented]:
    yield _name_line("✗", "$text-error", error.server or "")
    text = Content.styled(printable(explain(error)), "$text-error")
    yield Indented(Content("  "), text + _key(error))


def _other_lines(other: RecordedServer) -> Iterator[Indented]:
    yield _name_line("○", "$text-muted", other.destination)
    yield Indented(Content("  "), Content("recorded as another server; not connected to"))


def _left_lines(left: LeftServer) -> Iterator[Indented]:
    yield _name_line("!", "$text-warning", left.server.destination)
    yield Indented(Content("  "), Content.styled(printable(left.text), "$text-warning"))
    yield Indented(Content("  "), Content(printable(left.advice)))


def _name_line(sign: str, colour: str, server: str, os_name: str = "") -> Indented:
    name = Content.styled(printable(server), "bold")
    return Indented(
        Content.styled(f"{sign} ", colour),
        name + Content.styled(printable(os_name), "$text-muted"),
    )
