"""Container image archives, built without a container engine.

The format is that of `docker save` (Docker Image Specification v1.2, "Combined Image JSON +
Filesystem Changeset Format"), which Docker, Podman and skopeo all read.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import random
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import rootfs
from lab.state import LabFolder

REGISTRY_TAG = "docker.io/library/registry:2.8"
REGISTRY_3_TAG = "docker.io/library/registry:3.1.1"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

REGISTRY_CONFIGURATION = """\
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""
"""The official image's /etc/docker/registry/config.yml."""

REGISTRY_3_ENTRY_POINT = """\
#!/bin/sh
set -e
case "$1" in
*.yaml | *.yml) exec /bin/registry serve "$@" ;;
serve | garbage-collect | help | -*) exec /bin/registry "$@" ;;
esac
exec "$@"
"""
"""The official image's entry point since release 3; it also accepts just a configuration file."""


@dataclass(frozen=True)
class Entry:
    """A file in an image or, without content, a folder."""

    content: bytes | None = None
    mode: int = 0o644


def build_registry_image(target: Path, tag: str = REGISTRY_TAG, *, suite: str = "bookworm") -> Path:
    """Write a registry image that behaves like the official one of release 2.8.

    It contains Debian's docker-registry and its shared libraries. The entry point is the program
    itself, so `serve PATH` works as with the official image.

    Args:
        target: The archive to write.
        tag: The image's name.
        suite: The Debian release to take the program from.

    Returns:
        The archive.
    """
    folder = LabFolder.from_environment()
    source = rootfs.ensure_image(folder, suite, extra=["docker-registry"])

    def write(draft: Path) -> None:
        files = _base_files(folder, source, {"bin/registry": "/usr/bin/docker-registry"})
        files["etc/docker/registry/config.yml"] = Entry(REGISTRY_CONFIGURATION.encode())
        settings = _run_settings(["/bin/registry"], ["serve", "/etc/docker/registry/config.yml"])
        write_archive(draft, tag, files, settings)

    return _build_cached(folder, target, write, source.layers[0].parent.name, tag)


def build_registry_3_image(
    target: Path, program: Path, tag: str = REGISTRY_3_TAG, *, suite: str = "bookworm"
) -> Path:
    """Write a registry image laid out like the official one of release 3.

    Args:
        target: The archive to write.
        program: The statically linked registry, as released upstream.
        tag: The image's name.
        suite: The Debian release to take the entry point's shell from.

    Returns:
        The archive.
    """
    folder = LabFolder.from_environment()
    source = rootfs.ensure_image(folder, suite)
    binary = program.read_bytes()

    def write(draft: Path) -> None:
        files = _base_files(folder, source, {"bin/sh": "/usr/bin/dash"})
        files["bin/registry"] = Entry(binary, 0o755)
        files["entrypoint.sh"] = Entry(REGISTRY_3_ENTRY_POINT.encode(), 0o755)
        files["etc/distribution/config.yml"] = Entry(REGISTRY_CONFIGURATION.encode())
        settings = _run_settings(["/entrypoint.sh"], ["/etc/distribution/config.yml"])
        write_archive(draft, tag, files, settings)

    digest = hashlib.sha256(binary).hexdigest()
    return _build_cached(folder, target, write, source.layers[0].parent.name, tag, digest)


def _run_settings(entry_point: list[str], arguments: list[str]) -> dict[str, object]:
    return {
        "Entrypoint": entry_point,
        "Cmd": arguments,
        "Env": ["PATH=/bin"],
        "ExposedPorts": {"5000/tcp": {}},
        "Volumes": {"/var/lib/registry": {}},
    }


def _build_cached(
    folder: LabFolder, target: Path, write: Callable[[Path], None], source: str, *parts: str
) -> Path:
    """Write an archive unless it is cached, and copy it to the target."""
    name = f"{source}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:10]}.tar"
    cached = folder.container_images / name
    with folder.lock(f"container-image-{name}"):
        if not cached.exists():
            folder.container_images.mkdir(parents=True, exist_ok=True)
            draft = cached.with_name(f".{name}.draft")
            write(draft)
            draft.rename(cached)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(cached, target)
    return target


def build_small_image(
    target: Path, tag: str = "lab/small:1", *, size: int = 2048, command: str = "/hello"
) -> Path:
    """Write an image with one file, to push and pull; it cannot run.

    Args:
        target: The archive to write.
        tag: The image's name, which also seeds the file's content.
        size: The file's size in bytes; its content does not compress.
        command: The command in the image's configuration.

    Returns:
        The archive.
    """
    content = random.Random(tag).randbytes(size)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_archive(target, tag, {"hello": Entry(content)}, {"Cmd": [command]})
    return target


def write_archive(
    target: Path, tag: str, files: Mapping[str, Entry], run_settings: Mapping[str, object]
) -> None:
    """Write an image with one layer, reproducibly.

    Args:
        target: The archive to write.
        tag: The image's name.
        files: Its content, by path without a leading slash.
        run_settings: The `config` part of the image's JSON.
    """
    layer = _tar({path: files[path] for path in sorted(files)})
    digest = hashlib.sha256(layer).hexdigest()
    configuration = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": dict(run_settings),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "moorage lab"}],
        }
    ).encode()
    configuration_name = f"{hashlib.sha256(configuration).hexdigest()}.json"
    manifest = [
        {"Config": configuration_name, "RepoTags": [tag], "Layers": [f"{digest}/layer.tar"]}
    ]
    target.write_bytes(
        _tar(
            {
                configuration_name: Entry(configuration),
                f"{digest}/layer.tar": Entry(layer),
                "manifest.json": Entry(json.dumps(manifest).encode()),
            }
        )
    )


def _tar(entries: Mapping[str, Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, entry in entries.items():
            information = tarfile.TarInfo(path)
            information.mode = entry.mode
            if entry.content is None:
                information.type = tarfile.DIRTYPE
                archive.addfile(information)
            else:
                information.size = len(entry.content)
                archive.addfile(information, io.BytesIO(entry.content))
    return buffer.getvalue()


def _base_files(
    folder: LabFolder, source: rootfs.RootImage, programs: Mapping[str, str]
) -> dict[str, Entry]:
    """Return the files of a registry image: programs, their libraries, and CA certificates.

    Args:
        folder: The lab's folder.
        source: The image to copy from.
        programs: Paths in the source by their paths in the image.
    """
    with tempfile.TemporaryDirectory(dir=folder.path) as name:
        home = Path(name)
        for part in ("upper", "work", "root"):
            (home / part).mkdir()
        root = home / "root"
        rootfs.mount_overlay(root, upper=home / "upper", work=home / "work", lower=source.layers)
        try:
            listing = rootfs.run_in_root(
                folder, root, source.suite, ["ldd", *programs.values()]
            ).stdout
            libraries = [word for word in listing.split() if re.fullmatch(r"/\S+[^:]", word)]
            files = {
                path.lstrip("/"): Entry((root / path.lstrip("/")).read_bytes(), 0o755)
                for path in libraries
            }
            for path, program in programs.items():
                files[path] = Entry((root / program.lstrip("/")).read_bytes(), 0o755)
            authorities = "etc/ssl/certs/ca-certificates.crt"
            files[authorities] = Entry((root / authorities).read_bytes())
        finally:
            rootfs.unmount(root)
    files["etc/passwd"] = Entry(b"root:x:0:0:root:/:/sbin/nologin\n")
    files["etc/group"] = Entry(b"root:x:0:\n")
    files["tmp"] = Entry(mode=0o1777)
    files["var/lib/registry"] = Entry(mode=0o777)
    return files
