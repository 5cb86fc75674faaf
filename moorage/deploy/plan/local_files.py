"""Check the local files that an apply needs: keys, certificate, image archive, hooks."""

from __future__ import annotations

from collections.abc import Iterator

from moorage.answers.model import Answers
from moorage.deploy.run.hooks import find_faulty_scripts
from moorage.desired.certificates import find_faults
from moorage.errors import Problem
from moorage.local_file import LocalFileError, check_file, read_file


def check_local_files(answers: Answers) -> list[Problem]:
    """Return the problems of the files that the answers name.

    Args:
        answers: What the operator decided.
    """
    return [
        *_unreadable(answers),
        *_faulty_certificate(answers),
        *find_faulty_scripts(answers),
    ]


def _unreadable(answers: Answers) -> Iterator[Problem]:
    for path, name in _names(answers):
        try:
            check_file(name)
        except LocalFileError as error:
            yield error.problem(path)


def _names(answers: Answers) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the files that are needed, except hooks, with their paths in the answers."""
    for position, server in enumerate(answers.servers):
        if server.key is not None and server.connection == "ssh":
            yield ("servers", position, "key"), server.key
    acme, files = answers.ssl.acme, answers.ssl.files
    if answers.ssl.mode == "acme" and acme.ca_file is not None:
        yield ("ssl", "acme", "ca_file"), acme.ca_file
    if answers.ssl.mode == "files" and files is not None:
        yield ("ssl", "files", "certificate"), files.certificate
        yield ("ssl", "files", "key"), files.key
    registry = answers.registry
    if registry.runtime != "package" and registry.image_archive is not None:
        yield ("registry", "image_archive"), registry.image_archive


def _faulty_certificate(answers: Answers) -> Iterator[Problem]:
    files = answers.ssl.files
    if answers.ssl.mode != "files" or files is None:
        return
    try:
        certificate, key = read_file(files.certificate), read_file(files.key)
    except LocalFileError:
        return  # reported already
    for _code, sentence in find_faults(certificate, key, answers.registry.domain):
        yield Problem(("ssl", "files"), sentence)
