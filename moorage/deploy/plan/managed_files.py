"""Files Moorage manages that are something else on the server: links, folders, a broken record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from moorage.deploy.plan.problem import problem_on
from moorage.deploy.record.deployment_json import deployment_record, line_of
from moorage.desired import layout
from moorage.errors import MoorageError
from moorage.servers.facts import Facts
from moorage.users.on_servers import USER_FILES

USER_FOLDERS = (layout.ETC, layout.NGINX_ETC)


def unreadable_record(facts: Facts) -> str:
    """Return the message for a deployment.json that cannot be read; empty when it is fine."""
    if layout.DEPLOYMENT not in facts.files or deployment_record(facts):
        return ""
    return f"{layout.DEPLOYMENT} cannot be read, so what is deployed here is not known."


def misplaced_files(
    facts: Facts, files: Iterable[str] = USER_FILES, folders: Iterable[str] = USER_FOLDERS
) -> Iterator[MoorageError]:
    """Yield what is in the way of Moorage's files and folders and must not be overwritten.

    The probe does not follow links, so users in a linked file would be lost. Without a readable
    record, neither the declared users nor the image store are known.

    Args:
        facts: The server's facts.
        files: The files that Moorage has or will have there.
        folders: Its folders.
    """
    if message := unreadable_record(facts):
        advice = (
            "Restore the file from a backup. Without one, make sure that the disk with the images "
            "is mounted, then remove the file and apply again."
        )
        yield problem_on(facts, "record_unreadable", message, advice)
    for path in folders:
        there = facts.files.get(path)
        if there is not None:
            yield problem_on(
                facts,
                "not_a_folder",
                f"{path} is {_what(there.links_to)}, but Moorage needs a folder there.",
                "Put the folder itself there, or mount it.",
            )
    for path in files:
        there = facts.files.get(path)
        if path in facts.folders:
            yield problem_on(
                facts,
                "not_a_file",
                f"{path} is a folder, but Moorage writes a file of that name.",
                "Move the folder away.",
            )
        elif there is not None and there.links_to and path in USER_FILES:
            yield problem_on(
                facts,
                "not_a_file",
                f"{path} is {_what(there.links_to)}, but Moorage needs the file itself there: it "
                "holds the users.",
                f"Put it there: cp --remove-destination -p $(readlink -f {path}) {path}",
            )


def _what(links_to: str) -> str:
    return f"a symbolic link to {line_of(links_to)}" if links_to else "a file"
