"""Storage: where images are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static, TextArea

from moorage.answers.model import S3Storage
from moorage.answers.secrets import Secret, Typed
from moorage.errors import MoorageError
from moorage.escape import printable
from moorage.registry_keys import paste_s3_environment
from screens.storage.growing_text import GrowingText
from tui.actions import bindings
from tui.document.steps import Step
from tui.labels import describe_error, field_name, label_of
from tui.messages import DraftChanged, TestTold
from tui.session import Session
from tui.tasks import in_thread
from tui.widgets.choice import Choice, Option, Toggle
from tui.widgets.copy_block import CopyDialog
from tui.widgets.dialog import AskingDialog
from tui.widgets.field import Field, FieldInput
from tui.widgets.key_footer import KeyFooter
from tui.widgets.secret_field import SecretField
from tui.wizard.step_pane import StepPane

if TYPE_CHECKING:
    from moorage.cloud.s3 import BucketCheck

_DRIVERS = (
    Option("filesystem", "On the server", "one server, its disk"),
    Option("s3", "S3 or compatible", "also for several servers"),
)
_PATH_STYLES = (
    Option("", "Automatic", "depends on the endpoint"),
    Option("True", "Path-style"),
    Option("False", "Virtual-hosted"),
)
_SECRETS = ("accesskey", "secretkey")


class StoragePane(StepPane):
    """One driver at a time, with only its own fields."""

    step = Step.STORAGE
    question = "Where should images be kept?"
    help_text = (
        "On the server: a folder on its disk; images are there and nowhere else. S3: a bucket "
        "that exists; needed for several servers. Without keys the server's own role is used. "
        "Keys typed here are kept in memory only; saved answers ask for them again. "
        "A block of REGISTRY_STORAGE_S3_* lines can be pasted with the button."
    )
    example = (
        "one server    a folder:  /var/lib/moorage/registry\n"
        "two or more   a bucket:  my-images in eu-central-1"
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("storage")
    DEFAULT_CSS = """
    StoragePane .driver { height: auto; }
    StoragePane .row { height: 1; margin-bottom: 1; }
    StoragePane .row Button { margin-right: 2; }
    StoragePane #tested { height: auto; margin-bottom: 1; }
    StoragePane #filled { height: auto; margin-bottom: 1; display: none; }
    """

    def body(self) -> ComposeResult:
        yield Choice(_DRIVERS, "storage.driver", id="driver")
        yield Static("", id="filled", markup=False)
        with Vertical(id="filesystem", classes="driver"):
            yield Field.at("storage.filesystem.path")
        with Vertical(id="s3", classes="driver"):
            yield Field.at("storage.s3.bucket")
            yield Field.at("storage.s3.region")
            yield Field.at("storage.s3.regionendpoint")
            yield Field.at("storage.s3.accesskey", keeps_own=True, id="accesskey")
            yield SecretField.at("storage.s3.secretkey", keeps_own=True, id="secretkey")
            yield Field.at("storage.s3.rootdirectory")
            yield Static("Bucket addressing", classes="caption")
            yield Choice(_PATH_STYLES, "storage.s3.forcepathstyle")
            yield Toggle.at("storage.s3.encrypt")
            yield Toggle.at("storage.s3.redirect")
            with Horizontal(classes="row"):
                yield Button("Test", id="test", compact=True)
                yield Button("Paste lines", id="paste", compact=True)
                yield Button("Policy", id="policy", compact=True)
            yield GrowingText("", id="tested", markup=False)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._test = 0
        self._told: list[str] = []

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to test on a server's disk before it is connected to."""
        return action != "test" or self.draft.text("storage.driver") == "s3"

    def closed(self) -> None:
        """Give up on a test that goes on."""
        self._test += 1
        self.workers.cancel_group(self, "test")
        self._told = []
        self.query_one("#tested", GrowingText).tell(Content(""), is_kept_in_sight=False)
        self._show_filled([])
        self.session.operations.stop_tests()

    @on(Button.Pressed, "#test")
    def _test_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_test()

    def action_test(self) -> None:
        """Try the bucket with what a registry does; a second time stops it."""
        if not self.check():
            return
        self._test += 1
        self._told = []
        test, operations = self._test, self.session.operations
        storage = self.draft.answers_of(S3Storage, "storage.s3")
        if storage is None:
            return

        def tell(result: BucketCheck) -> None:
            sign = {"good": "✓", "bad": "✗", "note": "!"}[result.status]
            self.post_message(TestTold(test, f"{sign} {result.name}: {result.detail}"))

        self._show_test("Trying the bucket… leaving the step stops it")
        self._try(lambda: operations.test_storage(storage, tell))

    @on(TestTold)
    def _test_told(self, event: TestTold) -> None:
        if event.test == self._test:
            self._told.append(event.text)
            self._show_test("…")

    @work(exclusive=True, group="test")
    async def _try(self, test: Callable[[], Sequence[BucketCheck]]) -> None:
        try:
            results = await in_thread(test, self.session.operations.redactor)
        except MoorageError as error:
            self._show_last(f"✗ {describe_error(error)}")
        else:
            bad = any(each.status == "bad" for each in results)
            self._show_last("" if bad else "✓ the bucket can keep images")

    def _show_last(self, text: str) -> None:
        """Show how it ended below what is on its way already."""
        self.call_later(self._show_test, text)

    def _show_test(self, last: str) -> None:
        self.query_one("#tested", GrowingText).tell(_in_colours([*self._told, last]))

    def _show_filled(self, lines: Sequence[str]) -> None:
        """Say above the fields what came of a pasted block."""
        filled = self.query_one("#filled", Static)
        filled.update(_in_colours(lines))
        filled.display = bool(lines)

    @on(Button.Pressed, "#policy")
    def _show_policy(self, event: Button.Pressed) -> None:
        event.stop()
        from moorage.cloud.s3 import least_policy, lifecycle_rule

        storage = self.draft.answers_of(S3Storage, "storage.s3")
        if storage is None:
            self.check()
            return
        self.app.push_screen(
            CopyDialog(
                "Rights on the bucket",
                "The least that the registry's key or role needs, and a rule that removes what "
                "aborted pushes leave behind.",
                [("IAM policy", least_policy(storage)), ("Lifecycle", lifecycle_rule(storage))],
            )
        )

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
        self.screen.refresh_bindings()

    @on(Field.Changed, "#accesskey")
    @on(Field.Changed, "#secretkey")
    def _key_typed(self, event: Field.Changed) -> None:
        path = f"storage.s3.{event.field.id}"
        if event.value.strip():
            self.draft.set(path, Typed(Secret(event.value.strip())))
        elif isinstance(self.draft.get(path), Typed):
            self.draft.remove(path)
        self.post_message(DraftChanged())

    @on(FieldInput.PastedBlock)
    def _pasted_block(self, event: FieldInput.PastedBlock) -> None:
        """A block of settings pasted into any field, of other steps as well, fills the form."""
        event.stop()
        self._take(event.text)

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
        for field in self.fields:
            if field.error:
                field.show_error(self.problem_of(field))
        self.post_message(DraftChanged())
        names = ", ".join(label_of(("storage", "s3", name)) or name for name in fields)
        said = f"✓ filled in: {names}" if fields else "✗ No S3 setting was found"
        self._show_filled(
            [said, *(f"✗ Line {each.line}: {each.explain(field_name)}" for each in problems)]
        )
        if fields:
            self.query("#s3 Field").first(Field).focus()
        self.call_after_refresh(self.scroll_home, animate=False)


def _in_colours(lines: Sequence[str]) -> Content:
    """Lines in the colours of the signs they begin with."""
    colours = {"✓": "$text-success", "✗": "$text-error", "!": "$text-warning"}
    words = [Content.styled(printable(line), colours.get(line[0], "")) for line in lines if line]
    return Content("\n").join(words)


class PasteDialog(AskingDialog[str | None]):
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
            yield from self.buttons("Fill in")
        yield KeyFooter()

    def accept(self) -> None:
        """End with the lines."""
        self.dismiss(self.query_one(TextArea).text)
