"""Files of the schedule of collections, and of the service that recovers from interrupted ones."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict

from moorage.answers.model import Answers, RetentionRule
from moorage.desired import layout
from moorage.desired.program import program
from moorage.desired.render import render
from moorage.desired.state import DesiredFile, Effect
from moorage.durations import seconds
from moorage.images.retention import Keep, Rule
from moorage.images.task import Task
from templates.load import shell_script


def collect_files(answers: Answers, store_id: str) -> list[DesiredFile]:
    """Return the files of both services.

    Args:
        answers: The operator's answers.
        store_id: The content of the marker file in the images folder.
    """
    if answers.storage.driver != "filesystem":
        return []
    files = _recover_files(answers.storage.filesystem.path)
    return files + _schedule_files(answers, store_id) if is_scheduled(answers) else files


def is_scheduled(answers: Answers) -> bool:
    """Return whether a timer on the server collects."""
    return answers.collect.when is not None


@functools.cache
def recover_script() -> bytes:
    """Return the program that puts back what an interrupted sweep has moved."""
    return program("images.boot", "Puts back what an interrupted collection of images has moved.")


@functools.cache
def collect_script() -> bytes:
    """Return the program that applies the retention rules and collects."""
    return program(
        "images.schedule", "Removes images by the retention rules, and frees their space."
    )


def _recover_files(folder: str) -> list[DesiredFile]:
    why = "puts images back after a power failure during a collection"
    service = render(
        "systemd/moorage-recover.service.j2",
        script=layout.RECOVER_SCRIPT,
        storage_folder=folder,
        state=layout.STATE,
    )
    return [
        DesiredFile(layout.RECOVER_SCRIPT, recover_script(), Effect.NOTHING, why, mode=0o755),
        DesiredFile(layout.RECOVER_SERVICE, service, Effect.REGISTRY, why),
    ]


def _schedule_files(answers: Answers, store_id: str) -> list[DesiredFile]:
    why = ("collect.when",)
    settings = json.dumps(asdict(_task(answers, store_id)), indent=2) + "\n"
    service = render(
        "systemd/moorage-collect.service.j2",
        script=layout.COLLECT_SCRIPT,
        settings=layout.COLLECT_SETTINGS,
    )
    timer = render("systemd/moorage-collect.timer.j2", when=answers.collect.when)
    listing = shell_script("images.sh").encode()
    return [
        DesiredFile(layout.COLLECT_SCRIPT, collect_script(), Effect.NOTHING, why, mode=0o755),
        DesiredFile(layout.IMAGES_SCRIPT, listing, Effect.NOTHING, "lists the images", mode=0o755),
        DesiredFile(
            layout.COLLECT_SETTINGS, settings.encode(), Effect.NOTHING, ("retention", "collect")
        ),
        DesiredFile(layout.COLLECT_SERVICE, service, Effect.SCHEDULE, why),
        DesiredFile(layout.COLLECT_TIMER, timer, Effect.SCHEDULE, why),
    ]


def _task(answers: Answers, store_id: str) -> Task:
    collect = answers.collect
    return Task(
        "scheduled",
        answers.storage.filesystem.path,
        store_id,
        grace=seconds(collect.grace),
        young=seconds(collect.young),
        trash=seconds(collect.trash),
        untagged=seconds(collect.untagged),
        rules=tuple(map(rule_of, answers.retention)),
    )


def rule_of(rule: RetentionRule) -> Rule:
    """Return a rule of the answers as it is applied."""
    keep = rule.keep
    return Rule(
        rule.repositories,
        Keep(keep.last, keep.tags, _seconds(keep.pushed_within), _seconds(keep.pulled_within)),
    )


def _seconds(duration: str | None) -> float | None:
    return None if duration is None else seconds(duration)
