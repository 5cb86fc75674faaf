"""The names of container images, which Docker and Podman write in several ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal


def host_of(name: str) -> str:
    """Return the registry in an image's name; empty if it names none.

    Args:
        name: The image's name, such as ``ghcr.io/team/app:1``.
    """
    first, slash, _ = name.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else ""


def full_name(name: str) -> str:
    """Return an image's name with its registry, folder and tag: ``docker.io/library/app:latest``.

    Args:
        name: The image's name.
    """
    host = host_of(name)
    path = name.removeprefix(f"{host}/") if host else name
    if host in {"", "docker.io", "index.docker.io"}:
        host, path = "docker.io", path if "/" in path else f"library/{path}"
    return f"{host}/{path}" if ":" in path else f"{host}/{path}:latest"


def name_in_archive(image: str, names: Sequence[str]) -> str:
    """Return the name that an image has in an archive; empty if the archive does not have it.

    Engines call an image that was built without a registry's name ``localhost/NAME``.

    Args:
        image: The image's name in the answers.
        names: The names of the images in the archive.
    """
    wanted = {full_name(image)}
    if not host_of(image):
        wanted.add(full_name(f"localhost/{image}"))
    return next((each for each in names if full_name(each) in wanted), "")


def name_once_loaded(engine: Literal["docker", "podman"], image: str, archived: str) -> str:
    """Return under which other name an engine has an image of an archive; empty if under its own.

    Args:
        engine: The engine.
        image: The image's name in the answers.
        archived: Its name in the archive.
    """
    # Podman takes a name without a registry as a name of the server's own.
    is_own = engine == "podman" and not host_of(archived)
    loaded = f"localhost/{archived}" if is_own else archived
    finds = {full_name(image)}
    if engine == "podman" and not host_of(image):
        finds.add(full_name(f"localhost/{image}"))
    return "" if full_name(loaded) in finds else loaded
