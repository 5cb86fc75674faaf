"""Read an archive of container images on the operator's machine."""

from __future__ import annotations

import hashlib
import json
import lzma
import tarfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from moorage.answers.model import Answers
from moorage.errors import AnswersError
from moorage.local_file import MEBIBYTE, LocalFileError, open_file

_MANIFEST = "manifest.json"
_UNREADABLE = (
    tarfile.TarError, zlib.error, lzma.LZMAError, OSError, EOFError,
    ValueError, TypeError, AttributeError, RecursionError,
)  # fmt: skip


@dataclass(frozen=True)
class ImageArchive:
    """An archive of container images.

    Attributes:
        digest: Its SHA-256.
        names: The names of its images; None if only the container engine can tell.
    """

    digest: str
    names: tuple[str, ...] | None


def read_archive(answers: Answers) -> ImageArchive | None:
    """Return what is known about the image archive; None if there is none, or no server uses it.

    Raises:
        AnswersError: It cannot be read.
    """
    archive = answers.registry.image_archive
    runtimes = {answers.for_server(server.host).registry.runtime for server in answers.servers}
    if archive is None or runtimes == {"package"}:
        return None
    try:
        with open_file(archive) as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
            content.seek(0)
            return ImageArchive(digest, image_names(content))
    except LocalFileError as error:
        raise AnswersError([error.problem(("registry", "image_archive"))]) from None


def image_names(content: BinaryIO) -> tuple[str, ...] | None:
    """Return the names of the images in an archive; None if it does not have them as Docker does.

    Args:
        content: The archive; it is not trusted.
    """
    try:
        with tarfile.open(fileobj=content) as tar:
            member = next((each for each in tar if each.name == _MANIFEST), None)
            found = tar.extractfile(member) if member is not None else None
            if member is None or found is None or member.size > MEBIBYTE:
                return None
            manifest = json.loads(found.read())
        return tuple(str(name) for image in manifest for name in image.get("RepoTags") or ())
    except _UNREADABLE:
        return None
