"""Time and memory of reading images, compared with `find` and with the registry's own collector.

Run as root: python -m bench.images [ROUNDS]. It boots its own lab server and stores images there,
of 1,000 and of 20,000 tags, in turn:

- `moorage images list`, once with nothing known and then with the manifests it keeps, compared with
  one `find` over the registry's files;
- the plan of `moorage images collect`, compared with `garbage-collect --dry-run` of Debian's
  registry, and of registry 3 if MOORAGE_TEST_REGISTRY_3 names its program.

All are whole processes on this machine: `moorage`, or `ssh` with a command on the server.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench.unchanged import SOURCE, Bench
from lab import Lab, LabServer
from templates.load import shell_script

FOLDER = "/var/lib/moorage/registry"
TAGS = 20
"""Tags of each repository."""
SIZES = (50, 1000)
"""Repositories."""
FIND = f"find {FOLDER}/docker/registry/v2 -xdev -type f -printf '%C@ %T@ %s %P\\n' >/dev/null"
CONFIG = f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {FOLDER}}}}}\n"
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


def images(bench: Bench, action: str, *more: str) -> bytes:
    """List images, or plan their collection, in a process of its own."""
    answers = str(bench.folder / "moorage.yml")
    command = [sys.executable, "-m", "moorage", "images", action, answers, *more]
    return subprocess.run(
        command, env=bench.environment, cwd=SOURCE, capture_output=True, check=True
    ).stdout


def forget(bench: Bench) -> None:
    """Remove the manifests that Moorage keeps."""
    shutil.rmtree(Path(bench.environment["MOORAGE_STATE"], "manifests"), ignore_errors=True)


def collectors(server: LabServer) -> dict[str, str]:
    """Return the commands of the registries' own collectors on the server."""
    server.write_file("/tmp/registry.yml", CONFIG)
    programs = {"2.8": "docker-registry"}
    if given := os.environ.get("MOORAGE_TEST_REGISTRY_3"):
        shutil.copy(given, server.inside("/usr/local/bin/registry-3"))
        programs["3"] = "OTEL_TRACES_EXPORTER=none registry-3"
    return {
        f"garbage-collect --dry-run, registry {version}": (
            f"{program} garbage-collect --dry-run /tmp/registry.yml"
        )
        for version, program in programs.items()
    }


def measure(bench: Bench, server: LabServer, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each, in turn."""
    times: dict[str, list[float]] = {}

    def on_server(command: str) -> None:
        subprocess.run([*server.ssh_command(), f"{{ {command}; }} >/dev/null 2>&1"], check=True)

    acts: dict[str, Callable[[], object]] = {
        "find over ssh": lambda: on_server(FIND),
        "images list, the first time": lambda: images(bench, "list"),
        "images list, again": lambda: images(bench, "list"),
        # There is nothing to collect, so it ends with the plan.
        "images collect, the plan": lambda: images(bench, "collect", "--yes"),
        **{what: partial(on_server, command) for what, command in collectors(server).items()},
    }
    for _ in range(rounds):
        forget(bench)
        for what, act in acts.items():
            times.setdefault(what, []).append(timed(act))
    return times


PEAK = """
import resource, subprocess, sys
nothing = subprocess.DEVNULL
subprocess.run(["sh", "-c", sys.argv[1]], stdout=nothing, stderr=nothing, stdin=sys.stdin)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def print_memory(server: LabServer) -> None:
    """Print the memory of the largest process of each command, and of Moorage."""
    server.write_file("/tmp/images.sh", shell_script("images.sh"))
    for what, command in {"images.sh": "sh /tmp/images.sh", **collectors(server)}.items():
        peak = server.run(["python3", "-c", PEAK, command], stdin=f"{FOLDER}\n").stdout
        print(f"  {what:<42}{int(peak) // 1024:5} MiB on the server")
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"  {'moorage':<42}{used:5.0f} MiB on this machine")


def row(what: str, seconds: Sequence[float]) -> None:
    """Print one row: the median, the fastest and the slowest."""
    ordered = sorted(seconds)
    print(
        f"  {what:<42}{ordered[len(ordered) // 2]:7.2f} s  ({ordered[0]:.2f} to {ordered[-1]:.2f})"
    )


def main() -> None:
    """Measure and print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        server = lab.boot("images", variant="ready", extra=["python3"])
        bench = Bench(server, Path(folder))
        bench.moorage((server.address, 22), "--no-verify", "--show-passwords")
        for repositories in SIZES:
            write_images(server.inside(FOLDER), repositories)
            images(bench, "list")
            times = measure(bench, server, rounds)
            listed = json.loads(images(bench, "list", "--json"))
            tags = sum(len(each["tags"]) for each in listed["repositories"])
            assert tags == repositories * TAGS, tags
            print(f"{repositories} repositories, {tags} tags, {listed['blobs']} blobs")
            for what, seconds in times.items():
                row(what, seconds)
            print_memory(server)


if __name__ == "__main__":
    main()
