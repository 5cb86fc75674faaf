"""One image: its platforms, layers, history, labels, and what refers to it."""

from __future__ import annotations

from typing import ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from moorage.errors import MoorageError
from moorage.escape import one_line, printable
from moorage.images.details import ImageDetails
from moorage.images.usage import TagUsage
from screens.images import image_texts
from screens.images.source import Images, ImagesOnServers, known_details
from tui.actions import bindings
from tui.age import TICK
from tui.labels import describe_error
from tui.styled_once import StyledOnce
from tui.tasks import in_thread
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter


class ImageScreen(StyledOnce[None]):
    """Reads an image's configurations, and shows what is known meanwhile.

    Args:
        source: Reads them.
        images: The images it is from.
        tag: The tag.
        registry: The registry's name, with its port if clients need it.
    """

    help_text = (
        "One image, as it is stored. An index has an image for each platform; Left and Right "
        "select one. The bars compare the sizes of its layers, lowest first; a layer that other "
        "images use as well is stored once.\n\n"
        "History and labels are what the image says about itself. Signatures, attestations and "
        "the like refer to an image: they stay as long as it does."
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("image")
    DEFAULT_CSS = """
    ImageScreen #top { height: auto; }
    ImageScreen #head { height: auto; max-height: 8; padding: 0 2; background: $surface; }
    ImageScreen #platforms { height: auto; max-height: 3; padding: 0 1; display: none; }
    ImageScreen #platforms.-shown { display: block; }
    ImageScreen #message { height: auto; max-height: 4; padding: 0 2; display: none; }
    ImageScreen #message.-shown { display: block; }
    ImageScreen #body { height: 1fr; padding: 0 2; }
    ImageScreen.-high #body { padding: 1 2; }
    ImageScreen #image { height: auto; }
    """

    def __init__(
        self, source: ImagesOnServers, images: Images, tag: TagUsage, registry: str
    ) -> None:
        super().__init__()
        self._source = source
        self._images = images
        self._tag = tag
        self._registry = registry
        self._details: ImageDetails | None = None
        self._selected = 0

    def compose(self) -> ComposeResult:
        yield HeaderBar(self._registry, "Image")
        with Vertical(id="top"):
            yield Static(f"{self._tag.repository}:{self._tag.name}", id="head", markup=False)
            yield Static("", id="platforms", markup=False)
            yield Static("", id="message", markup=False)
        with VerticalScroll(id="body"):
            yield Static("", id="image", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start reading."""
        name = f"{self._tag.repository}:{self._tag.name}"
        self.query_one("#head", Static).update(Content.styled(one_line(name), "bold"))
        self.set_focus(self.query_one("#body"))
        self.set_interval(TICK, self._show)
        self.action_read()

    def on_resize(self, _event: events.Resize) -> None:
        """Draw the bars as wide as fits."""
        self._show()

    def action_read(self) -> None:
        """Read the image."""
        self._say(Content.styled("… Reading the image", "$text-muted"))
        self._read()

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        if not self._tag.digest:
            why = one_line(self._tag.problem)
            self._say(Content.styled(f"! {why[:1].upper()}{why[1:]}.", "$text-warning"))
            return
        self._details = await in_thread(lambda: known_details(self._images, self._tag))
        self._show()
        try:
            self._details = await in_thread(lambda: self._source.details(self._images, self._tag))
        except MoorageError as error:
            text = printable(describe_error(error))
            self._say(
                Content.styled(f"✗ {text}", "$text-error")
                + Content.styled("\nPress r to try again.", "$text-muted")
            )
            return
        self._say(Content(""))
        self._show()

    def _say(self, text: Content) -> None:
        line = self.query_one("#message", Static)
        line.update(text)
        line.set_class(bool(text), "-shown")

    def _show(self) -> None:
        details = self._details
        if details is None:
            return
        self._selected = min(self._selected, max(0, len(details.images) - 1))
        self.query_one("#head", Static).update(image_texts.head(details, self._tag))
        line = self.query_one("#platforms", Static)
        line.update(image_texts.platforms(details.images, self._selected))
        line.set_class(len(details.images) > 1, "-shown")
        image = details.images[self._selected] if details.images else None
        text = image_texts.body(details, image, self.size.width)
        self.query_one("#image", Static).update(text)
        self.refresh_bindings()

    # --- keys -----------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to select a platform only if there are several."""
        if action == "platform":
            return self._details is not None and len(self._details.images) > 1
        return action != "copy" or bool(self._tag.digest)

    def action_platform(self, step: int) -> None:
        """Show the next or previous platform."""
        if self._details is not None:
            self._selected = (self._selected + step) % len(self._details.images)
            self._show()
            self.query_one("#body").scroll_home(animate=False)

    def action_scroll_body(self, way: str) -> None:
        """Scroll the text."""
        getattr(self.query_one("#body"), way)(animate=False)

    def action_copy(self) -> None:
        """Copy the image's name with its digest."""
        name = f"{self._registry}/{self._tag.repository}@{self._tag.digest}"
        self.app.copy_to_clipboard(name)
        self._say(Content.styled(f"✓ Copied {one_line(name)}", "$text-success"))

    def action_back(self) -> None:
        """Go back to the tags."""
        self.dismiss(None)
