"""Read a deployment's images for the screen, with calls that block."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.answers.model import Answers
from moorage.deploy.activity import Activity
from moorage.deploy.events import Event
from moorage.deploy.images import ImagesRead
from moorage.deploy.images_rows import with_uses
from moorage.deploy.operations import Operations
from moorage.deploy.space import collectable_size
from moorage.images.details import ImageDetails, NoSuchImageError, image_details
from moorage.images.usage import TagUsage, Usage, measure
from screens.images.rows import Search
from tui.events import EventQueue
from tui.questions.asker import WizardAsker
from tui.tasks import beside_keys

if TYPE_CHECKING:
    from moorage.deploy.operations import OpenTransport


@dataclass(frozen=True)
class Images:
    """The images of a deployment, ready to be shown.

    Attributes:
        read: The images as they were read.
        activity: Their pushes and pulls, as far as they are known.
        usage: Their sizes, and last pushes and pulls.
        search: Finds them.
    """

    read: ImagesRead
    activity: Activity
    usage: Usage
    search: Search


def prepare(read: ImagesRead, activity: Activity) -> Images:
    """Measure images and prepare finding them. Takes a moment.

    Args:
        read: The images as they were read.
        activity: Their pushes and pulls, as far as they are known.
    """
    with beside_keys():
        usage = with_uses(measure(read.stored), activity)
        return Images(read, activity, usage, Search(usage))


def known_details(images: Images, tag: TagUsage) -> ImageDetails | None:
    """Return what is known about a tag's image without its configuration.

    Args:
        images: The images it is from.
        tag: The tag.
    """
    with beside_keys(), suppress(NoSuchImageError):
        return image_details(images.read.stored, images.usage, tag.repository, tag.name, {})
    return None


def collectable(images: Images) -> int | None:
    """Return the bytes that a collection would free now; None if that is not known.

    Args:
        images: The images.
    """
    with beside_keys():
        return collectable_size(images.read, images.activity)


class ImagesOnServers:
    """Reads the images. Its methods block, so call them in threads.

    Args:
        answers: The deployment's answers.
        asker: Asks the operator for host keys and secrets.
        open_transport: Opens a connection; None goes over SSH.
    """

    def __init__(
        self,
        answers: Answers,
        asker: WizardAsker,
        open_transport: OpenTransport | None = None,
    ) -> None:
        self.servers = tuple(server.host for server in answers.servers)
        self._answers = answers
        self._events = EventQueue()
        self._operations = Operations(asker, self._events.put, open_transport)

    def events(self) -> list[Event]:
        """Return the events since the last call, in order."""
        return self._events.take()

    def read(self) -> Images:
        """Read all images, and keep the connections.

        Raises:
            MoorageError: They could not be read.
        """
        self._open()
        with beside_keys():
            read, activity = self._operations.read_images_and_activity()
        return prepare(read, activity)

    def details(self, images: Images, tag: TagUsage) -> ImageDetails:
        """Read everything about a tag's image.

        Args:
            images: The images it is from.
            tag: The tag.

        Raises:
            MoorageError: The server cannot be reached, or the tag's manifest is not known.
        """
        self._open()
        with beside_keys():
            return self._operations.read_image(images.read, images.usage, tag.repository, tag.name)

    def _open(self) -> None:
        if not self._operations.is_open:
            self._operations.open(self._answers)

    def stop(self) -> None:
        """Stop reading and close all connections."""
        if self._operations.is_open:
            self._operations.stop()
