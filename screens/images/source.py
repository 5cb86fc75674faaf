"""Read and change a deployment's images for the screen, with calls that block."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.answers.model import Answers
from moorage.answers.model_retention import Collect
from moorage.deploy.events import Event
from moorage.deploy.images.activity import Activity
from moorage.deploy.images.read import ImagesRead
from moorage.deploy.images.rows import with_uses
from moorage.deploy.images.space import find_reclaimable, read_trash_if_possible
from moorage.deploy.operations import Operations
from moorage.images.details import ImageDetails, NoSuchImageError, image_details
from moorage.images.space import Reclaimable
from moorage.images.usage import TagUsage, Usage, measure
from screens.images.rows import Search
from tui.events import EventQueue
from tui.questions.asker import WizardAsker
from tui.tasks import beside_keys

if TYPE_CHECKING:
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.images.run import CollectPlan, DeletePlan, ImagesChange, RestorePlan
    from moorage.deploy.operations import OpenTransport
    from moorage.images.task import Task
    from moorage.images.trash import TrashedRun


@dataclass(frozen=True)
class CollectOptions:
    """The options of a collection.

    Attributes:
        grace: Seconds between listing what goes and moving it.
        young: Seconds during which whatever was written stays.
        takes_untagged: Whether manifests without a tag can go.
        purges: Whether the trash is emptied at once.
    """

    grace: float
    young: float
    takes_untagged: bool
    purges: bool


@dataclass(frozen=True)
class Images:
    """The images of a deployment, ready to be shown.

    Attributes:
        read: The images as they were read.
        activity: Their pushes and pulls, as far as they are known.
        usage: Their sizes, and last pushes and pulls.
        search: Finds them.
        trash: What is in the trash; None if that is not known.
    """

    read: ImagesRead
    activity: Activity
    usage: Usage
    search: Search
    trash: tuple[TrashedRun, ...] | None = None


def prepare(
    read: ImagesRead, activity: Activity, trash: tuple[TrashedRun, ...] | None = None
) -> Images:
    """Measure images and prepare finding them. Takes a moment.

    Args:
        read: The images as they were read.
        activity: Their pushes and pulls, as far as they are known.
        trash: What is in the trash; None if that is not known.
    """
    with beside_keys():
        usage = with_uses(measure(read.stored), activity)
        return Images(read, activity, usage, Search(usage), trash)


def known_details(images: Images, tag: TagUsage) -> ImageDetails | None:
    """Return what is known about a tag's image without its configuration.

    Args:
        images: The images it is from.
        tag: The tag.
    """
    with beside_keys(), suppress(NoSuchImageError):
        return image_details(images.read.stored, images.usage, tag.repository, tag.name, {})
    return None


class ImagesOnServers:
    """Reads and changes the images. Its methods block, so call them in threads.

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
            trash = read_trash_if_possible(self._operations.deployment, read)
        return prepare(read, activity, trash)

    def reclaimable(self, images: Images) -> Reclaimable:
        """Return the space that can be freed. Takes a moment.

        Args:
            images: The images.
        """
        settings = self.collect_settings(images)
        with beside_keys():
            return find_reclaimable(images.read, images.activity, images.trash, settings)

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

    def collect_settings(self, images: Images | None) -> Collect:
        """Return what the answers say about collections.

        Args:
            images: The images, if they were read.
        """
        from moorage.deploy.images.run import answers_for_images

        if images is None:
            return self._answers.collect
        return answers_for_images(self._answers, images.read.facts).collect

    def plan_delete(self, names: Sequence[str]) -> DeletePlan:
        """Plan a deletion; see :func:`moorage.deploy.images.run.plan_delete`."""
        from moorage.deploy.images.run import plan_delete

        deployment = self._open()
        with beside_keys():
            return plan_delete(deployment, names)

    def plan_collect(self, options: CollectOptions) -> CollectPlan:
        """Plan a collection; see :func:`moorage.deploy.images.run.plan_collect`."""
        from moorage.deploy.images.run import plan_collect

        deployment = self._open()
        with beside_keys():
            return plan_collect(
                deployment, grace=options.grace, young=options.young,
                takes_untagged=options.takes_untagged, purges=options.purges,
            )  # fmt: skip

    def plan_restore(self, names: Sequence[str]) -> RestorePlan:
        """Plan a restoration; see :func:`moorage.deploy.images.run.plan_restore`."""
        from moorage.deploy.images.run import plan_restore

        deployment = self._open()
        with beside_keys():
            return plan_restore(deployment, names)

    def read_trash(self) -> tuple[ImagesRead, tuple[TrashedRun, ...]]:
        """Return the images and what is in the trash, oldest first.

        Raises:
            MoorageError: They cannot be read.
        """
        from moorage.deploy.images.read import read_images
        from moorage.deploy.images.run import read_trash_of

        deployment = self._open()
        with beside_keys():
            read = read_images(deployment)
            return read, read_trash_of(deployment, read)

    def change(self, read: ImagesRead, task: Task) -> ImagesChange:
        """Run a task on the server and follow it; see :meth:`cancel_run`."""
        from moorage.deploy.images.run import change_images

        return change_images(self._open(), read, task)

    def follow(self, server: str, run_id: str) -> ImagesChange:
        """Follow a run that is in progress; see :meth:`cancel_run`."""
        from moorage.deploy.images.follow import follow_images_run

        return follow_images_run(self._open(), server, run_id)

    def cancel_run(self) -> None:
        """Make the run that is followed stop before its next step."""
        self._operations.abort()

    def _open(self) -> Deployment:
        if not self._operations.is_open:
            self._operations.open(self._answers)
        return self._operations.deployment

    def stop(self) -> None:
        """Stop reading and close all connections. Runs continue on the server."""
        if self._operations.is_open:
            self._operations.stop()
