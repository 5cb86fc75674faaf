"""Storage: where images are stored."""

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
from moorage.errors import MoorageError, Problem
from moorage.escape import printable
from moorage.registry_keys import paste_s3_environment
from screens.storage.growing_text import GrowingText
from screens.storage.retention import RetentionFields, RuleDialog
from tui.actions import bindings
from tui.document.steps import Step
from tui.labels import describe_error, field_name, label_of
from tui.messages import DraftChanged, TestProgressed
from tui.tasks import in_thread
from tui.widgets.choice import Choice, Option, Toggle
from tui.widgets.copy_block import CopyBlock, CopyDialog
from tui.widgets.dialog import AskingDialog
from tui.widgets.field import Field, FieldInput
from tui.widgets.key_footer import KeyFooter
from tui.widgets.secret_field import SecretField
from tui.wizard.list_pane import ListPane
from tui.wizard_session import WizardSession

if TYPE_CHECKING:
    from moorage.cloud.s3 import BucketCheck

_DRIVERS = (
    Option("filesystem", "On the server", "one server only"),
    Option("s3", "S3 or compatible", "one or more servers"),
)
_PATH_STYLES = (
    Option("", "Automatic", "depends on the endpoint"),
    Option("True", "Path-style"),
    Option("False", "Virtual-hosted"),
)
_SECRETS = ("accesskey", "secretkey")


class StoragePane(ListPane):
    """The storage driver and its fields, the retention rules and the schedule of collections."""

    step = Step.STORAGE
    items = "retention"
    question = "Where should images be stored?"
    help_text = (
        "On the server: a folder on its disk, and no other copy. S3: an existing bucket; required "
        "for several servers. Without keys, the server's own role is used. Keys typed here are "
        "kept in memory only; saved answers ask for them again. Paste lines fills in the form "
        "from REGISTRY_STORAGE_S3_* variables.\n\n"
        "Retention rules remove tags. A tag stays if any condition of its rule applies; the first "
        "rule for its repository decides, and without one every tag stays. What is removed can be "
        "restored from the trash. Show what goes reads the images and changes nothing. The "
        "schedule is a calendar expression of systemd: Sun 03:00, daily, *-*-* 04:30."
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
        yield RetentionFields()

    def __init__(self, session: WizardSession) -> None:
        super().__init__(session)
        self._test = 0
        self._results: list[str] = []

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the test for buckets only."""
        return action != "test" or self.draft.text("storage.driver") == "s3"

    def closed(self) -> None:
        """Cancel a running test."""
        self._test += 1
        self.workers.cancel_group(self, "test")
        self._results = []
        self.query_one("#tested", GrowingText).replace(Content(""), stays_in_view=False)
        self._show_filled([])
        self.query_one(RetentionFields).show_removed(Content(""))
        self.session.operations.stop_tests()

    @on(Button.Pressed, "#test")
    def _test_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_test()

    def action_test(self) -> None:
        """Test the bucket with the requests a registry makes; restarts a running test."""
        if not self.check():
            return
        self._test += 1
        self._results = []
        test, operations = self._test, self.session.operations
        storage = self.draft.answers_of(S3Storage, "storage.s3")
        if storage is None:
            return

        def show(result: BucketCheck) -> None:
            sign = {"good": "✓", "bad": "✗", "note": "!"}[result.status]
            self.post_message(TestProgressed(test, f"{sign} {result.name}: {result.detail}"))

        self._show_test("Testing the bucket… (leave this step to cancel)")
        self._run_test(lambda: operations.test_storage(storage, show))

    @on(TestProgressed)
    def _show_result(self, event: TestProgressed) -> None:
        if event.test == self._test:
            self._results.append(event.text)
            self._show_test("…")

    @work(exclusive=True, group="test")
    async def _run_test(self, test: Callable[[], Sequence[BucketCheck]]) -> None:
        try:
            results = await in_thread(test, self.session.operations.redactor)
        except MoorageError as error:
            self._show_last(f"✗ {describe_error(error)}")
        else:
            has_failed = any(each.status == "bad" for each in results)
            self._show_last("" if has_failed else "✓ the bucket can store images")

    def _show_last(self, text: str) -> None:
        """Show the outcome below the results whose messages are still queued."""
        self.call_later(self._show_test, text)

    def _show_test(self, last: str) -> None:
        self.query_one("#tested", GrowingText).replace(_in_colours([*self._results, last]))

    def _show_filled(self, lines: Sequence[str]) -> None:
        """Show above the fields what was filled in from a pasted block."""
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
                "Bucket permissions",
                "The minimum permissions for the registry's key or role, and a rule that cleans up "
                "after aborted pushes.",
                [
                    CopyBlock("IAM policy", least_policy(storage)),
                    CopyBlock("Lifecycle", lifecycle_rule(storage)),
                ],
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
                field.input.placeholder = f"unchanged: {reference}"
        self._show_driver()
        self.query_one(RetentionFields).show(self.draft)

    # --- retention --------------------------------------------------------------------------

    def dialog(self, row: int) -> RuleDialog:
        """Return the dialog for a retention rule."""
        return RuleDialog(self.session, row)

    def focus_part(self, path: str) -> None:
        """Focus the retention rules."""
        if path == self.items:
            fields = self.query_one(RetentionFields)
            self.take_focus(fields.first_focus)
            # After the step has scrolled to its top.
            self.call_after_refresh(
                self.call_after_refresh, fields.scroll_visible, animate=False, top=True
            )

    @on(DraftChanged)
    def _schedule_cleared(self) -> None:
        if self.draft.get("collect") == {}:
            self.draft.remove("collect")

    @on(Button.Pressed, "#removes")
    def _removes_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self._show_removed()

    @work(exclusive=True, group="test")
    async def _show_removed(self) -> None:
        """Read the images, and show what the rules would remove."""
        fields, operations = self.query_one(RetentionFields), self.session.operations
        fields.show_removed(Content("Reading the images… (leave this step to cancel)"))
        try:
            answers = self.draft.answers()
            judgement = await in_thread(
                lambda: operations.judge_images(answers), operations.redactor
            )
        except MoorageError as error:
            fields.show_removed(_in_colours([f"✗ {describe_error(error)}"]))
        else:
            fields.show_judgement(judgement)

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
        """Fill in the form from a block of settings pasted into any field of any step."""
        event.stop()
        self._fill_in(event.text)

    @on(Button.Pressed, "#paste")
    def _paste(self, event: Button.Pressed) -> None:
        event.stop()
        self._ask_for_lines()

    @work
    async def _ask_for_lines(self) -> None:
        if text := await self.app.push_screen_wait(PasteDialog()):
            self._fill_in(text)

    def _fill_in(self, text: str) -> None:
        fields, problems, notes = paste_s3_environment(text)
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
        result = f"✓ filled in: {names}" if fields else "✗ No S3 settings found"
        lines = [result, *(f"✗ {_describe(each)}" for each in problems)]
        self._show_filled(lines + [f"! {_describe(each)}" for each in notes])
        if fields:
            self.query("#s3 Field").first(Field).focus()
        # After the field, which scrolls itself into view once the screen is refreshed.
        self.call_after_refresh(self.call_after_refresh, self.scroll_home, animate=False)


def _describe(problem: Problem) -> str:
    """Return what is said about a pasted line."""
    label = label_of(problem.path) if len(problem.path) > 2 else ""
    text = f"{label} {problem.explain(field_name)}" if label else problem.explain(field_name)
    return f"Line {problem.line}: {text}" if problem.line else text


def _in_colours(lines: Sequence[str]) -> Content:
    """Return lines in the colours of the signs they begin with."""
    colours = {"✓": "$text-success", "✗": "$text-error", "!": "$text-warning"}
    words = [Content.styled(printable(line), colours.get(line[0], "")) for line in lines if line]
    return Content("\n").join(words)


class PasteDialog(AskingDialog[str | None]):
    """Asks for a block of environment lines."""

    DEFAULT_CSS = "PasteDialog TextArea { height: 10; margin-bottom: 1; }"

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Paste environment lines"
            yield Static(
                "Lines such as REGISTRY_STORAGE_S3_BUCKET=my-images, as they are in .env and "
                "compose files, docker run, systemd units, ~/.aws/credentials, rclone.conf, ...",
                classes="dialog--text",
                markup=False,
            )
            yield TextArea(compact=True)
            yield from self.buttons("Fill in")
        yield KeyFooter()

    def accept(self) -> None:
        """Return the lines."""
        self.dismiss(self.query_one(TextArea).text)
