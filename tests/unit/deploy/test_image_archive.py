"""Which images an archive has, and by which names Docker and Podman know them."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from moorage.deploy.image_archive import image_names
from moorage.desired.image_names import full_name, name_in_archive, name_once_loaded

FULL = "docker.io/library/registry:3.1.1"
SHORT = "registry:3.1.1"
OWN = "localhost/registry:3.1.1"


def _archive(manifest: object, mode: str = "w") -> io.BytesIO:
    content = io.BytesIO()
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    with tarfile.open(fileobj=content, mode=mode) as tar:  # type: ignore[call-overload]  # a mode of the parameters
        for name, data in (("layer.tar", b"x" * 5000), ("manifest.json", text)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    content.seek(0)
    return content


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_the_names_are_in_the_manifest(mode: str) -> None:
    manifest = [{"RepoTags": [SHORT, "other:1"]}, {"RepoTags": None}, {"RepoTags": [OWN]}]
    assert image_names(_archive(manifest, mode)) == (SHORT, "other:1", OWN)
    assert image_names(_archive([{"Config": "x"}], mode)) == ()


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{", b"5", {"RepoTags": 5}, ["x"], [{"RepoTags": 5}], b"[" * 100_000, b" " * 2**21],
)  # fmt: skip
def test_an_archive_that_cannot_be_read_is_left_to_the_engine(manifest: object) -> None:
    assert image_names(_archive(manifest)) is None


def test_what_is_no_archive_is_left_to_the_engine() -> None:
    whole = _archive([{"RepoTags": [SHORT]}], "w:gz").getvalue()
    for content in (b"", b"no archive", whole[:40], whole[:-20]):
        assert image_names(io.BytesIO(content)) is None


def test_names_are_compared_as_engines_understand_them() -> None:
    assert full_name("registry") == "docker.io/library/registry:latest"
    assert full_name("team/app:1") == "docker.io/team/app:1"
    assert full_name("index.docker.io/library/registry:2") == "docker.io/library/registry:2"
    assert full_name("host:5000/app") == "host:5000/app:latest"
    for image in (FULL, SHORT, "docker.io/registry:3.1.1"):
        for name in (FULL, SHORT):
            assert name_in_archive(image, ["other:1", name]) == name
    assert name_in_archive(SHORT, [OWN]) == OWN
    assert name_in_archive(OWN, [OWN]) == OWN
    # It can be any image that was built on that machine.
    assert name_in_archive(FULL, [OWN]) == ""
    assert name_in_archive(OWN, [SHORT]) == ""
    assert name_in_archive("registry:3.0.0", [FULL]) == ""


@pytest.mark.parametrize(
    ("image", "archived", "docker", "podman"),
    [
        (FULL, FULL, "", ""),
        (FULL, SHORT, "", OWN),
        (SHORT, FULL, "", ""),
        (SHORT, SHORT, "", ""),
        (SHORT, OWN, OWN, ""),
        (OWN, OWN, "", ""),
    ],
)
def test_the_name_once_it_is_loaded(image: str, archived: str, docker: str, podman: str) -> None:
    assert name_once_loaded("docker", image, archived) == docker
    assert name_once_loaded("podman", image, archived) == podman
