"""An operator who deletes, collects and restores the images of a deployment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from image_client import ImageClient
from operator_at_work import DOMAIN, Operator

from lab import LabServer
from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.events import Event, LogLine
from moorage.deploy.images.read import read_images
from moorage.deploy.images.retain import plan_retain
from moorage.deploy.images.run import (
    CollectPlan,
    ImagesChange,
    change_images,
    plan_collect,
    plan_delete,
    plan_restore,
)
from moorage.deploy.verify.registry_client import RegistryClient
from moorage.images.read import Stored


class Images:
    """The images of a deployment.

    Attributes:
        log: The lines of all runs' logs.
    """

    def __init__(self, operator: Operator, answers: Answers) -> None:
        self.operator = operator
        self.answers = answers
        self.log: list[str] = []

    def _note(self, event: Event) -> None:
        if isinstance(event, LogLine):
            self.log.append(event.text)

    def read(self) -> Stored:
        """Return what is stored."""
        with self.operator.open(self.answers) as deployment:
            return read_images(deployment).stored

    def collect(
        self,
        *,
        grace: float = 0.0,
        young: float = 0.0,
        looks: tuple[float, ...] = (1.0,),
        takes_untagged: bool = True,
        **more: Any,
    ) -> tuple[CollectPlan, ImagesChange]:
        """Plan and collect; by default, all manifests without a tag as well."""
        with self.operator.open(self.answers, self._note) as deployment:
            plan = plan_collect(
                deployment, grace=grace, young=young, takes_untagged=takes_untagged, **more
            )
            change = change_images(deployment, plan.read, replace(plan.task, looks=looks))
            return plan, change

    def delete(self, *names: str) -> ImagesChange:
        """Delete tags and repositories."""
        with self.operator.open(self.answers, self._note) as deployment:
            plan = plan_delete(deployment, names)
            return change_images(deployment, plan.read, plan.task)

    def retain(self) -> ImagesChange | None:
        """Remove the tags that the retention rules do not keep; None if all stay."""
        with self.operator.open(self.answers, self._note) as deployment:
            plan = plan_retain(deployment)
            if not plan.has_changes:
                return None
            return change_images(deployment, plan.read, plan.task)

    def restore(self, *names: str) -> ImagesChange:
        """Restore tags and repositories, or everything."""
        with self.operator.open(self.answers, self._note) as deployment:
            plan = plan_restore(deployment, names)
            return change_images(deployment, plan.read, plan.task)


def client_of(operator: Operator, server: LabServer) -> ImageClient:
    """Return a client that is logged in."""
    authority = next((operator.home / "state" / "ca").glob("*/ca.pem")).read_bytes()
    password = Secret(operator.passwords["ci"])
    return ImageClient(RegistryClient(server.address, 443, DOMAIN, True, authority, "ci", password))
