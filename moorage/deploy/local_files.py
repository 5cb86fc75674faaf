"""Check the local files that an apply needs: keys, certificate, image archive, hooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from moorage.answers.model import Answers
from moorage.deploy.hooks import find_faulty_scripts
from moorage.desired.certificates import find_faults
from moorage.errors import Problem


def check_local_files(answers: Answers) -> list[Problem]:
    """Return the problems of the files that the answers name.

    Args:
        answers: What the operator decided.
    """
    return [
        *_keys(answers),
        *_certificate(answers),
        *_archive(answers),
        *find_faulty_scripts(answers),
    ]


def _keys(answers: Answers) -> Iterator[Problem]:
    for position, server in enumerate(answers.servers):
        if server.key is not None and server.connection == "ssh":
            yield from _unreadable(server.key, ("servers", position, "key"))


def _certificate(answers: Answers) -> Iterator[Problem]:
    acme = answers.ssl.acme
    if answers.ssl.mode == "acme" and acme.ca_file is not None:
        yield from _unreadable(acme.ca_file, ("ssl", "acme", "ca_file"))
    files = answers.ssl.files
    if answers.ssl.mode != "files" or files is None:
        return
    unreadable = [
        *_unreadable(files.certificate, ("ssl", "files", "certificate")),
        *_unreadable(files.key, ("ssl", "files", "key")),
    ]
    yield from unreadable
    if not unreadable:
        certificate = Path(files.certificate).expanduser().read_bytes()
        key = Path(files.key).expanduser().read_bytes()
        for _code, sentence in find_faults(certificate, key, answers.registry.domain):
            yield Problem(("ssl", "files"), sentence)


def _archive(answers: Answers) -> Iterator[Problem]:
    registry = answers.registry
    if registry.runtime != "package" and registry.image_archive is not None:
        yield from _unreadable(registry.image_archive, ("registry", "image_archive"))


def _unreadable(name: str, where: tuple[str | int, ...]) -> Iterator[Problem]:
    try:
        with Path(name).expanduser().open("rb"):
            return
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        yield Problem(where, f"the file {name} cannot be read: {why}")
