"""`--json` of `moorage images`: docs/images.md names the fields that are printed, and no others."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from calls import Moorage, write_answers
from fake_server import FakeServers, deploy
from stored_registry import StoredRegistry

from moorage.desired import layout

ONE = "one.example.test"
FOLDER = "/srv/registry"
PAGE = Path(__file__).parents[3] / "docs/images.md"
DIGEST = f"sha256:{'0' * 64}"
NUMBERS = (
    "repositories", "tags", "links", "blobs", "bytes", "purged", "restored", "kept_tags", "held_ms"
)  # fmt: skip
RESULT = "".join(f"@number\t{name}\t1\n" for name in NUMBERS) + "@result\tdone\t\n"
TRASH = (
    ("repositories/app/_manifests/tags/v1", "", 0),
    ("repositories/old/_manifests", "", 0),
    (f"repositories/app/_manifests/revisions/sha256/{'0' * 64}/link", DIGEST, 0),
    (f"blobs/sha256/00/{'0' * 64}/data", DIGEST, 1000),
)


@pytest.fixture
def file(home: Path, servers: FakeServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Answers for one deployed server with an image, old ones, a damaged one, and a trash."""
    monkeypatch.setattr("moorage.images.alive.Limits.is_young", lambda limits, changed: False)
    registry = StoredRegistry(tmp_path / "images")
    layer = registry.blob("app", b"layer")
    image = registry.image("app", [layer], "v1")
    image = registry.index("app", [image], "v1", "v2")
    registry.image("app", [], subject=image)
    untagged = registry.image("app", [registry.blob("app", b"old")])
    registry.image("app", [], f"{untagged['digest'].replace(':', '-')}.sig")
    registry.manifest("damaged", {"mediaType": "application/vnd.example.unknown"})
    file = write_answers(home / "one.yml", [ONE])
    storage = f"storage: {{driver: filesystem, filesystem: {{path: {FOLDER}}}}}\n"
    file.write_text(file.read_text() + storage)
    server = servers[ONE]
    deploy(server, file)
    server.images = registry.root
    server.result = RESULT
    server.files[layout.NGINX_SITE] = b"$moorage_is_held"
    server.files[layout.config_path("blue")] = b"storage:\n  filesystem:\n"
    lines = "".join(f"{json.dumps(entry)}\n" for entry in TRASH)
    server.trash = f"run0001.000\tchecked\t{int(time.time())}\n0 1 2 3\n{lines}\n".encode()
    return file


def _documented(*beginnings: str) -> set[str]:
    """Return the fields in the tables below the lines that begin like this."""
    section = PAGE.read_text().partition("\n## JSON\n")[2]
    found = set()
    for beginning in beginnings:
        assert section.count(f"\n{beginning}") == 1, beginning
        rest = section.partition(f"\n{beginning}")[2]
        table = re.search(r"(?:^\|.*\n)+", rest, re.MULTILINE)
        assert table is not None
        for row in table[0].splitlines()[2:]:
            names, meaning = (cell.strip() for cell in row.strip("|").split(" | ", 1))
            for name in re.findall(r"`([^`]+)`", names):
                found.add(name)
                # Those of objects are in the row of their list.
                inside = re.findall(r"`([a-z_]+)`", meaning) if _has_objects(name) else ()
                found |= {f"{name}.{each}" for each in inside}
    return found


def _has_objects(name: str) -> bool:
    return name.endswith("[]") and name.rpartition(".")[2] not in {"repositories[]", "names[]"}


def _printed(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of all fields, as the tables name them."""
    if isinstance(value, dict):
        for name, each in value.items():
            shown = "*" if path == "plan.unreadable" else name
            yield from _printed(each, f"{path}.{shown}".lstrip("."))
    elif isinstance(value, list):
        yield f"{path}[]"
        for each in value:
            yield from _printed(each, f"{path}[]")
    else:
        yield path


def _without_parents(names: set[str]) -> set[str]:
    """Return fields without lists and objects whose own fields are among them."""
    names = {name for name in names if f"{name}[]" not in names}
    return {
        name for name in names if not any(each.startswith(f"{name}.") for each in names - {name})
    }


RUN = "`images delete`, `images collect` and `images restore` print"


@pytest.mark.parametrize(
    ("words", "beginnings"),
    [
        (["delete", "app:v1", "damaged", "--yes"], (RUN, "The plan of `images delete`:")),
        (["collect", "--untagged-now", "--yes"], (RUN, "The plan of `images collect`:")),
        (["restore", "app:v1", "--yes"], (RUN, "The plan of `images restore`:")),
        (["trash"], ("`images trash`:",)),
    ],
)
def test_the_documented_fields_are_those_that_are_printed(
    moorage: Moorage, file: Path, words: list[str], beginnings: tuple[str, ...]
) -> None:
    command, *rest = words

    value = moorage("images", command, str(file), *rest, "--json").json

    assert _without_parents(set(_printed(value))) == _without_parents(_documented(*beginnings))


@pytest.mark.parametrize("words", [["list"], ["show", "app:v1"]])
def test_every_printed_field_is_documented(moorage: Moorage, file: Path, words: list[str]) -> None:
    command, *rest = words

    value = moorage("images", command, str(file), *rest, "--json").json

    section = PAGE.read_text().partition("\n## JSON\n")[2]
    documented = set(re.findall(r"`([a-z_]+)(?:\[\])?`", section))
    documented |= {name for path in re.findall(r"`([a-z_.\[\]]+)`", section)
                   for name in re.findall("[a-z_]+", path)}  # fmt: skip
    printed = {name for path in _printed(value) for name in re.findall("[a-z_]+", path)}
    assert printed - documented == set()
    assert "exit_code" in _documented("`images list`, and `images show` with a repository only:")
    assert "`images show` with an image has `exit_code`," in section


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["collect"], 1, "Deleted moorage-verify, which Moorage's own checks had left"),
        (["collect"], 1, "Moved 1 byte in 1 blob to the trash. Freed 1 byte."),
        (["delete", "app:v1"], 1, "Deleted 1 repository and 1 tag."),
        (["restore"], 1, "Restored everything in the trash. Pushes waited for 0.0 s at most. "
                         "1 tag not restored, because it was pushed again."),
    ],
)  # fmt: skip
def test_the_result_of_a_run_is_said_in_sentences(
    moorage: Moorage, file: Path, words: list[str], code: int, text: str
) -> None:
    command, *names = words
    outcome = moorage("images", command, str(file), *names, "--yes")
    assert outcome.code == code
    assert text in outcome.stdout
