"""Storage: where images are kept."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Footer, Static, TextArea

from moorage.answers.secrets import Secret, Typed
from moorage.registry_keys import paste_s3_environment
from tui.flow import Step
from tui.messages import DraftChanged
from tui.widgets.choice import Choice, Option, Toggle
from tui.widgets.dialog import Dialog
from tui.widgets.field import Field
from tui.widgets.pane import StepPane

_DRIVERS = (
    Option("filesystem", "On the server", "one server, its disk"),
    Option("s3", "S3 or compatible", "also for several servers"),
)
_PATH_STYLES = (
    Option("", "As usual", "in the path with an endpoint, else in the host name"),
    Option("True", "In the path"),
    Option("False", "In the host name"),
)
_SECRETS = ("accesskey", "secretkey")


class StoragePane(StepPane):
    """One driver at a time, with only its own fields."""

    step = Step.STORAGE
    question = "Where should images be kept?"
    help_text = (
        "On the server: a folder on its disk; images are there and nowhere else. S3: a bucket "
        "that exists; needed for several servers. Without keys the server's own role is used. "
        "Keys typed here are kept in memory only; an answers file gets {prompt: true}. "
        "A block of REGISTRY_STORAGE_S3_* lines can be pasted with the button."
    )
    DEFAULT_CSS = """
    StoragePane .driver { height: auto; }
    StoragePane .row { height: 1; margin-bottom: 1; }
    """

    def body(self) -> ComposeResult:
        yield Choice(_DRIVERS, "storage.driver", id="driver")
        with Vertical(id="filesystem", classes="driver"):
            yield Field(
                "Folder",
                "storage.filesystem.path",
                placeholder="/var/lib/moorage/registry",
                help_text="Made when it is missing; it belongs to the registry's own account",
            )
        with Vertical(id="s3", classes="driver"):
            yield Field("Bucket", "storage.s3.bucket", placeholder="my-images")
            yield Field(
                "Region",
                "storage.s3.region",
                placeholder="eu-central-1",
                help_text="For compatible stores often us-east-1",
            )
            yield Field(
                "Endpoint",
                "storage.s3.regionendpoint",
                placeholder="https://s3.example.com",
                help_text="Only for compatible stores such as MinIO, Ceph or R2",
            )
            yield Field(
                "Access key", id="accesskey", help_text="Empty: the server's own role is used"
            )
            yield Field("Secret key", id="secretkey", password=True)
            yield Field(
                "Folder in it", "storage.s3.rootdirectory", help_text="Empty: the whole bucket"
            )
            yield Static("The bucket's name stands", classes="caption")
            yield Choice(_PATH_STYLES, "storage.s3.forcepathstyle")
            yield Toggle("Encrypt objects at rest", "storage.s3.encrypt")
            yield Toggle("Clients fetch layers from the store directly", "storage.s3.redirect")
            with Horizontal(classes="row"):
                yield Button("Paste REGISTRY_STORAGE_S3_* lines", id="paste", compact=True)

    def load(self) -> None:
        """Fill the fields and show those of the driver."""
        super().load()
        for name in _SECRETS:
            reference = self.draft.get(f"storage.s3.{name}")
            field = self.query_one(f"#{name}", Field)
            if isinstance(reference, Typed):
                field.value = reference.secret.reveal()
            elif isinstance(reference, dict):
                field.input.placeholder = f"kept as it is: {reference}"
        self._show_driver()

    def _show_driver(self) -> None:
        driver = self.query_one("#driver", Choice).value
        self.query_one("#filesystem").display = driver == "filesystem"
        self.query_one("#s3").display = driver == "s3"

    @on(Choice.Changed, "#driver")
    def _driver_chosen(self, event: Choice.Changed) -> None:
        if event.value == "s3" and not isinstance(self.draft.get("storage.s3"), dict):
            self.draft.set("storage.s3", {})
        self.show_fault("")
        self._show_driver()

    @on(Field.Changed, "#accesskey")
    @on(Field.Changed, "#secretkey")
    def _key_typed(self, event: Field.Changed) -> None:
        path = f"storage.s3.{event.field.id}"
        if event.value.strip():
            self.draft.set(path, Typed(Secret(event.value.strip())))
        elif isinstance(self.draft.get(path), Typed):
            self.draft.remove(path)
        self.post_message(DraftChanged())

    @on(Button.Pressed, "#paste")
    def _paste(self, event: Button.Pressed) -> None:
        event.stop()

        def pasted(text: str | None) -> None:
            if text:
                self._take(text)

        self.app.push_screen(PasteDialog(), pasted)

    def _take(self, text: str) -> None:
        fields, problems = paste_s3_environment(text)
        for name, value in fields.items():
            self.draft.set(f"storage.s3.{name}", value)
        if fields:
            self.draft.set("storage.driver", "s3")
        self.load()
        self.post_message(DraftChanged())
        message = f"Filled in: {', '.join(fields)}" if fields else "No S3 setting was found"
        for problem in problems:
            message += f"\nLine {problem.line}: {problem.message}"
        is_good = fields and not problems
        self.notify(message, markup=False, severity="information" if is_good else "warning")


class PasteDialog(Dialog[str | None]):
    """Takes a block of environment lines."""

    DEFAULT_CSS = "PasteDialog TextArea { height: 10; margin-bottom: 1; }"

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Paste environment lines"
            yield Static(
                "Lines such as REGISTRY_STORAGE_S3_BUCKET=my-images; with export, quotes or as "
                "YAML, it does not matter.",
                classes="dialog--text",
                markup=False,
            )
            yield TextArea(compact=True)
            with Horizontal(classes="dialog--buttons"):
                yield Button("Back", id="refuse", compact=True)
                yield Button("Fill in", id="accept", variant="primary", compact=True)
        yield Footer(compact=True, show_command_palette=False)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        accepted = event.button.id == "accept"
        self.dismiss(self.query_one(TextArea).text if accepted else None)
