"""Servers: the registry's name and the servers it runs on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from moorage.errors import MoorageError, ServersFailed
from moorage.escape import printable
from moorage.servers.address import parse_server
from moorage.servers.facts import Facts
from moorage.servers.ssh.config import SshConfig
from moorage.servers.ssh.input_check import jump_fault, key_fault
from moorage.servers.sudo import PASSWORD_CODES
from tui.actions import bindings
from tui.document.draft import Draft
from tui.document.steps import Step
from tui.labels import explain
from tui.messages import DraftChanged
from tui.tasks import in_thread
from tui.widgets.choice import Choice, Option
from tui.widgets.field import Field
from tui.widgets.key_footer import KeyFooter
from tui.widgets.table import EditableTable
from tui.wizard.form import Form
from tui.wizard.form_dialog import FormDialog
from tui.wizard.list_pane import ListPane
from tui.wizard_session import WizardSession

if TYPE_CHECKING:
    from moorage.answers.model import Server
    from moorage.deploy.operations import Operations

_GIB = 1024**3


class ServersPane(ListPane):
    """The registry's name and a table of servers."""

    step = Step.SERVERS
    items = "servers"
    question = "Where should the registry run?"
    explanation = "One server is enough. Several share their images through S3."
    help_text = (
        "Image names begin with the registry name: registry.example.com/app. Moorage connects to "
        "servers over SSH as root or as a user with sudo; aliases, keys and jump hosts in "
        "~/.ssh/config work. Nothing is written to a server until you review and apply."
    )
    example = (
        "docker push registry.example.com/team/app:1\n"
        "            ^ registry name      ^ chosen by the client"
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("servers")

    def body(self) -> ComposeResult:
        yield Field.at("registry.domain")
        yield EditableTable(("Server", "Login", "Test"))
        with Horizontal(classes="row"):
            yield Button("Add a server", id="add", compact=True)
        yield Static("", id="tested", markup=False)

    DEFAULT_CSS = """
    ServersPane .row { height: 1; margin-bottom: 1; }
    ServersPane #tested { height: auto; color: $text-muted; margin-bottom: 1; }
    """

    def load(self) -> None:
        """Fill the field and the table."""
        super().load()
        table = self.query_one(EditableTable)
        servers = self.draft.items("servers")
        table.display = bool(servers)
        table.show_rows([self._row(server) for server in servers])
        self._show_tested()

    def _row(self, server: dict[str, Any]) -> tuple[str, str, str]:
        if server.get("connection") == "local":
            login = "this machine"
        else:
            port = f" port {server['port']}" if server.get("port") else ""
            login = f"{server.get('user') or 'ssh config'}{port}"
        known = self.session.tested.get(str(server.get("host")))
        sign = "" if known is None else "… testing" if known[1] == "" else "✓" if known[0] else "✗"
        return str(server.get("host", "")), login, sign if known else "not tested"

    def focus_first(self) -> None:
        """Focus the name, or the table once there is a server."""
        if self.draft.domain and self.draft.items("servers"):
            self.take_focus(self.query_one(EditableTable))
        else:
            super().focus_first()

    def check(self) -> bool:
        """Check the fields; with a name and no server yet, open the dialog to add one."""
        if super().check():
            return True
        if not self.draft.items("servers") and not self.draft.problem_at("registry.domain"):
            self.show_fault("")
            self.edit(-1)
        return False

    def dialog(self, row: int) -> ServerDialog:
        """Return the dialog for a server."""
        return ServerDialog(self.session, row)

    def edited(self, item: dict[str, Any]) -> None:
        """Discard the test result of a server that was edited."""
        self.session.tested.pop(str(item.get("host")), None)

    def action_test(self) -> None:
        """Test every server and show the results."""
        servers = _servers_of(self.draft)
        for server in servers:
            self.session.tested[server.host] = (True, "")
            self._test(server)
        self.load()

    @work
    async def _test(self, server: Server) -> None:
        self.session.tested[server.host] = await _tested(self.session.operations, server)
        self.load()

    def _show_tested(self) -> None:
        """Show the test results of the servers in the list."""
        hosts = [str(server.get("host", "")) for server in self.draft.items("servers")]
        known = [
            (host, *self.session.tested[host]) for host in hosts if host in self.session.tested
        ]
        lines = [
            f"{'✓' if good else '✗'} {printable(host)}: {printable(text)}"
            for host, good, text in known
            if text
        ]
        waiting = ["Connecting…"] if any(not text for _, _, text in known) else []
        self.query_one("#tested", Static).update("\n".join(waiting + lines))

    def closed(self) -> None:
        """Cancel running tests."""
        self.session.operations.stop_tests()
        tested = self.session.tested
        self.session.tested = {host: known for host, known in tested.items() if known[1]}


class ServerDialog(FormDialog):
    """Adds or edits one server.

    Args:
        session: The deployment that is open.
        row: The server's position in the list; -1 for a new one.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("server_dialog")
    DEFAULT_CSS = """
    ServerDialog > .dialog--box { height: 90%; max-height: 32; }
    ServerDialog .dialog--buttons { margin-top: 1; }
    ServerDialog > .dialog--box { border-subtitle-color: $text-muted; }
    ServerDialog #result { height: auto; margin-bottom: 1; display: none; }
    """

    def __init__(self, session: WizardSession, row: int) -> None:
        super().__init__(session.draft, "servers", row, {})
        self._session = session

    def compose(self) -> ComposeResult:
        aliases = _aliases()
        offered = f"From ~/.ssh/config: {', '.join(aliases[:6])}" if aliases else ""
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Add a server" if self.is_new else "Edit the server"
            box.border_subtitle = "Moorage asks for passwords and passphrases when it needs them"
            with ServerForm(self.scratch, self.place):
                yield Field.at(f"{self.place}.host", help_text=offered, suggestions=aliases)
                yield Field.at(f"{self.place}.user")
                yield Field.at(f"{self.place}.port")
                yield Field.at(f"{self.place}.key")
                yield Field.at(f"{self.place}.jump")
                yield Field.at(f"{self.place}.address")
                yield Choice(
                    (
                        Option("ssh", "Over SSH"),
                        Option("local", "This machine", "the one Moorage runs on"),
                    ),
                    f"{self.place}.connection",
                )
            yield Static("", id="result", markup=False)
            test = Button("Test", id="test", compact=True)
            yield from self.buttons("Add" if self.is_new else "OK", test)
        yield KeyFooter()

    def is_right(self, field: Field) -> bool:
        """Whether a field is valid, once USER@HOST is split into its fields."""
        self.query_one(ServerForm).split_address()
        return super().is_right(field)

    def action_test(self) -> None:
        """Test this server and show the result."""
        if not self.query_one(Form).check():
            return
        position = int(self.place.removeprefix("servers[").removesuffix("]"))
        chosen = _servers_of(self.scratch, position)
        if not chosen:
            return
        self._test(chosen[0])

    @work(exclusive=True)
    async def _test(self, server: Server) -> None:
        self._show("Connecting…", "")
        is_good, text = await _tested(self._session.operations, server)
        self._session.tested[server.host] = (is_good, text)
        if is_good:
            self._show(f"✓ {text}", "$text-success")
        else:
            self._show(f"✗ {text}", "$text-error")

    def take_key(self, server: str, key: str) -> None:
        """Show the key file entered during a test, if this server is the one tested."""
        if server == self.scratch.text(f"{self.place}.host"):
            self.scratch.set(f"{self.place}.key", key)
            self.query_one(Form).load()

    def _show(self, text: str, colour: str) -> None:
        result = self.query_one("#result", Static)
        result.update(Content.styled(text, colour))
        result.display = True

    @on(Button.Pressed, "#test")
    def _test_pressed(self) -> None:
        self.action_test()

    def action_refuse(self) -> None:
        """Cancel a running test and go back."""
        self._session.operations.stop_tests()
        self.dismiss(None)

    def accept(self) -> None:
        """Accept the server if it is valid."""
        if self.query_one(Form).check():
            self._session.operations.stop_tests()
            server = self.scratch.get(self.place)
            if server.get("connection") == "ssh":
                del server["connection"]
            self.dismiss(server)


class ServerForm(Form):
    """The fields of a server, checked against this machine's key files and SSH configuration.

    Args:
        draft: The draft.
        row: The server's path in it.
    """

    def __init__(self, draft: Draft, row: str) -> None:
        super().__init__(draft)
        self._row = row

    def check(self) -> bool:
        """Check the fields, once USER@HOST is split."""
        self.split_address()
        return super().check()

    @on(Field.Left)
    def split_address(self) -> None:
        """Split USER@HOST:PORT into its fields, unless those have other values, and say so."""
        typed = self.draft.text(f"{self._row}.host")
        try:
            server = parse_server(typed) if "@" in typed else None
        except MoorageError:
            return
        if server is None:
            return
        parts = {"user": server.user, "port": server.port}
        new = {name: str(value) for name, value in parts.items() if value is not None}
        if any(self.draft.text(f"{self._row}.{name}") not in {"", new[name]} for name in new):
            return
        for name, value in {"host": server.host, **new}.items():
            self.draft.put_text(f"{self._row}.{name}", value)
        self.load()
        host = next(field for field in self.fields if field.path == f"{self._row}.host")
        host.show_error("")
        host.show_help(f"Moved {' and '.join(new)} to the field{'s' if len(new) > 1 else ''} below")
        self.post_message(DraftChanged())

    def problem_of(self, field: Field) -> str:
        """Return what is wrong with a field."""
        text = field.value.strip()
        if (problem := super().problem_of(field)) or not text:
            return problem
        if field.path == f"{self._row}.jump":
            return jump_fault(text)
        if field.path == f"{self._row}.key":
            return key_fault(text, self.draft.text(f"{self._row}.host"))
        return ""


def try_server(operations: Operations, server: Server) -> str:
    """Test a server and return a description of it. Blocks.

    Raises:
        MoorageError: It cannot be reached, or does not accept the login.
    """
    facts = operations.test_server(server)
    return describe_facts(facts, "root" if _is_root(server) else "sudo")


def _is_root(server: Server) -> bool:
    if server.connection == "local":
        return os.geteuid() == 0
    settings = SshConfig.load().lookup(server.host, user=server.user, port=server.port)
    return settings.user == "root"


def describe_facts(facts: Facts, login: str) -> str:
    """Return what a test found, as one line.

    Args:
        facts: The server's facts.
        login: How commands run as root there: root or sudo.
    """
    engine = next((name for name in ("docker", "podman") if name in facts.tools), "no Docker")
    disk = f"{facts.disks[0].free / _GIB:.0f} GiB free" if facts.disks else "disk unknown"
    taken = [
        f"{port} taken by {listener.program or 'another program'}"
        for port in (80, 443)
        if (listener := facts.listens(port)) is not None
    ]
    ports = ", ".join(taken) or "ports 80 and 443 free"
    moorage = ", runs Moorage" if any("moorage" in path for path in facts.files) else ""
    running = ", a run is in progress" if facts.active_run else ""
    return f"{facts.os_name}, {login} works, {engine}, {disk}, {ports}{moorage}{running}"


def describe_error(error: MoorageError) -> str:
    """Return why a test failed and what to do, without the server's name."""
    errors = error.errors if isinstance(error, ServersFailed) else (error,)
    lines = [explain(each) for each in errors]
    if any(each.code in PASSWORD_CODES for each in errors):
        lines.append("Press Ctrl+T to test again and re-enter the password.")
    return "\n".join(lines)


def _aliases() -> list[str]:
    try:
        return SshConfig.load().aliases()
    except (MoorageError, OSError):
        return []


def _servers_of(draft: Draft, position: int | None = None) -> list[Any]:
    """Return the valid servers of a draft, or the one at a position if it is valid."""
    from pydantic import ValidationError

    from moorage.answers.model import Server

    rows = draft.items("servers")
    chosen = rows if position is None else rows[position : position + 1]
    servers = []
    for row in chosen:
        try:
            servers.append(Server.model_validate(row))
        except ValidationError:
            continue
    return servers


async def _tested(operations: Operations, server: Server) -> tuple[bool, str]:
    """Return whether a server passed its test, and what was found there or what is wrong."""
    try:
        return True, await in_thread(lambda: try_server(operations, server), operations.redactor)
    except MoorageError as error:
        return False, describe_error(error)
