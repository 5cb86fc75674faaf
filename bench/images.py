"""Time of `moorage images list`, compared with one `find` over the registry's files.

Run as root: python -m bench.images [ROUNDS]. It boots its own lab server and stores images there,
of 1,000 and of 20,000 tags. Both are whole processes on this machine: `ssh` with `find` on the
server, and `moorage`, once with nothing known and then with the manifests it keeps.
"""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.unchanged import SOURCE, Bench
from lab import Lab, LabServer

FOLDER = "/var/lib/moorage/registry"
TAGS = 20
"""Tags of each repository."""
SIZES = (50, 1000)
"""Repositories."""
FIND = f"find {FOLDER}/docker/registry/v2 -xdev -type f -printf '%C@ %T@ %s %P\\n' >/dev/null"
MEDIA_TYPE = "application/vnd.oci.image"


def write_images(root: Path, repositories: int) -> None:
    """Store images as the registry does: three layers shared in a repository, two of each image.

    Args:
        root: The storage's root folder.
        repositories: The number of repositories.
    """
    v2 = root / "docker/registry/v2"

    def write(path: str, content: bytes) -> None:
        file = v2 / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def blob(content: bytes) -> tuple[str, int]:
        value = hashlib.sha256(content).hexdigest()
        write(f"blobs/sha256/{value[:2]}/{value}/data", content)
        return value, len(content)

    for number in range(repositories):
        base = f"repositories/team{number % 20}/app{number}"
        shared = [blob(f"shared {number} {each}".encode()) for each in range(3)]
        for tag in range(TAGS):
            layers = [*shared, *(blob(f"own {number} {tag} {each}".encode()) for each in range(2))]
            config = blob(json.dumps({"of": [number, tag], "os": "linux"}).encode())
            described = [
                {
                    "mediaType": f"{MEDIA_TYPE}.layer.v1.tar",
                    "digest": f"sha256:{it}",
                    "size": size,
                }
                for it, size in (config, *layers)
            ]
            manifest, _ = blob(json.dumps({
                "schemaVersion": 2, "mediaType": f"{MEDIA_TYPE}.manifest.v1+json",
                "config": described[0], "layers": described[1:],
            }).encode())  # fmt: skip
            for value, _ in (config, *layers):
                write(f"{base}/_layers/sha256/{value}/link", f"sha256:{value}".encode())
            for link in (
                f"revisions/sha256/{manifest}",
                f"tags/v{tag}/index/sha256/{manifest}",
                f"tags/v{tag}/current",
            ):
                write(f"{base}/_manifests/{link}/link", f"sha256:{manifest}".encode())


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def list_images(bench: Bench, *more: str) -> bytes:
    """List the images in a process of its own."""
    answers = str(bench.folder / "moorage.yml")
    command = [sys.executable, "-m", "moorage", "images", "list", answers, *more]
    return subprocess.run(
        command, env=bench.environment, cwd=SOURCE, capture_output=True, check=True
    ).stdout


def measure(bench: Bench, server: LabServer, rounds: int) -> tuple[list[float], ...]:
    """Return the seconds of `find`, of a first list, and of the next ones, in turn."""
    find, first, again = list[float](), list[float](), list[float]()
    for _ in range(rounds):
        find.append(timed(lambda: subprocess.run([*server.ssh_command(), FIND], check=True)))
        shutil.rmtree(Path(bench.environment["MOORAGE_STATE"], "manifests"), ignore_errors=True)
        first.append(timed(lambda: list_images(bench)))
        again.append(timed(lambda: list_images(bench)))
    return find, first, again


def row(what: str, seconds: Sequence[float]) -> None:
    """Print one row: the median, the fastest and the slowest."""
    ordered = sorted(seconds)
    print(
        f"  {what:<32}{ordered[len(ordered) // 2]:7.2f} s  ({ordered[0]:.2f} to {ordered[-1]:.2f})"
    )


def main() -> None:
    """Measure and print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        server = lab.boot("images", variant="ready")
        bench = Bench(server, Path(folder))
        bench.moorage((server.address, 22), "--no-verify", "--show-passwords")
        for repositories in SIZES:
            write_images(server.inside(FOLDER), repositories)
            list_images(bench)
            found = measure(bench, server, rounds)
            listed = json.loads(list_images(bench, "--json"))
            tags = sum(len(each["tags"]) for each in listed["repositories"])
            assert tags == repositories * TAGS, tags
            print(f"{repositories} repositories, {tags} tags, {listed['blobs']} blobs")
            for what, seconds in zip(
                ("find over ssh", "images list, the first time", "images list, again"),
                found,
                strict=True,
            ):
                row(what, seconds)
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"  memory of moorage: {used:.0f} MiB at most")


if __name__ == "__main__":
    main()
