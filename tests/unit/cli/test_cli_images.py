"""`moorage images list` and `show`: what is printed, and what stops them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calls import Moorage, write_answers
from fake_server import FakeServers, deploy, no_answer
from stored_registry import OCI, StoredRegistry

from moorage.desired import layout
from moorage.images.activity import NEVER, Index

ONE, TWO = "one.example.test", "two.example.test"
FOLDER = "/srv/registry"
NASTY = "\x1b[31mred\x1b]0;title\x07\nfake line\u202e"


@pytest.fixture
def registry(tmp_path: Path) -> StoredRegistry:
    """An empty registry on the disk of the server."""
    return StoredRegistry(tmp_path / "images")


@pytest.fixture
def file(home: Path, servers: FakeServers, registry: StoredRegistry) -> Path:
    """Answers for one deployed server."""
    file = write_answers(home / "one.yml", [ONE])
    storage = f"storage: {{driver: filesystem, filesystem: {{path: {FOLDER}}}}}\n"
    file.write_text(file.read_text() + storage)
    servers[ONE].images = registry.root
    deploy(servers[ONE], file)
    return file


def _config(registry: StoredRegistry, repository: str, **parsed: Any) -> dict[str, Any]:
    blob = registry.blob(repository, json.dumps(parsed).encode())
    return blob | {"mediaType": f"{OCI}.config.v1+json"}


def _image(
    registry: StoredRegistry, repository: str, layers: list[bytes], *tags: str, **config: Any
) -> dict[str, Any]:
    stored = [registry.blob(repository, each) for each in layers]
    return registry.manifest(repository, {
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": _config(registry, repository, **config),
        "layers": stored,
    }, *tags)  # fmt: skip


def test_list(moorage: Moorage, file: Path, registry: StoredRegistry) -> None:
    _image(registry, "team-a/app", [b"s" * 2048, b"a" * 1024], "v1", "v2", os="linux")
    _image(registry, "team-b/web", [b"s" * 2048], "v1", os="linux", of="web")
    _image(registry, "moorage-verify", [b"check"], "check")

    outcome = moorage("images", "list", str(file))
    value = moorage("images", "list", str(file), "--json").json

    assert outcome.code == 0
    rows = [line.split()[:4] for line in outcome.stdout.splitlines()[:3]]
    assert rows[0] == ["repository", "tags", "size", "own"]
    assert [row[0] for row in rows[1:]] == ["team-a/app", "team-b/web"]
    assert "2 repositories of 3 shown." in outcome.stdout
    assert f"Read from {ONE}:{FOLDER}." in outcome.stdout
    assert value["exit_code"] == 0
    assert value["store"] == {
        "driver": "filesystem", "server": ONE, "folder": FOLDER, "bucket": None, "prefix": None,
        "endpoint": None,
    }  # fmt: skip
    assert value["bytes"] == sum(f.stat().st_size for f in registry.v2.glob("blobs/*/*/*/data"))
    app, web = value["repositories"]
    assert app["bytes"] - app["own_bytes"] == web["bytes"] - web["own_bytes"] == 2048
    assert [tag["name"] for tag in app["tags"]] == ["v1", "v2"]
    assert app["tags"][0]["own_bytes"] == app["own_bytes"]
    assert app["pushed_at"].endswith("Z")
    # Those of Moorage's own checks are shown when they are asked for.
    for words in (["--all"], ["moorage-verify"]):
        assert "moorage-verify" in moorage("images", "list", str(file), *words).stdout


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["team-a/*"], ["team-a/app", "team-a/deep/app"]),
        (["*app", "--sort", "size"], ["team-a/deep/app", "team-a/app"]),
        (["--sort", "pushed"], ["web", "team-a/deep/app", "team-a/app"]),
        (["team-?/app:v*"], ["team-a/app:v1"]),
        (["--tags", "--sort", "pushed"], ["web:v1", "team-a/deep/app:v1", "team-a/app:v1",
                                          "team-a/app:latest"]),
        (["V*"], ["team-a/app:v1", "team-a/deep/app:v1", "web:v1"]),
        (["l?test"], ["team-a/app:latest"]),
        (["v1"], []),
        (["[ab]*"], []),
        (["team-[ab]/app"], ["team-a/app"]),
    ],
)  # fmt: skip
def test_patterns_and_orders(
    moorage: Moorage, file: Path, registry: StoredRegistry, words: list[str], shown: list[str]
) -> None:
    _image(registry, "team-a/app", [b"1"], "v1", "latest")
    _image(registry, "team-a/deep/app", [b"2" * 5000], "v1")
    _image(registry, "web", [b"3"], "v1")
    tags = ("team-a/app", "latest"), ("team-a/app", "v1"), ("team-a/deep/app", "v1"), ("web", "v1")
    for at, (repository, tag) in enumerate(tags):
        path = f"repositories/{repository}/_manifests/tags/{tag}/current/link"
        registry.write(path, (registry.v2 / path).read_bytes(), at=1_700_000_000 + at)

    outcome = moorage("images", "list", str(file), *words)

    assert outcome.code == 0
    lines = outcome.stdout.partition("\n\n")[0].splitlines()[1:] if shown else []
    assert [line.split()[0] for line in lines] == shown
    assert ("No image matches" in outcome.stderr) is not bool(shown)


def test_list_says_when_the_disk_is_full_at_this_rate(
    moorage: Moorage, file: Path, registry: StoredRegistry
) -> None:
    _image(registry, "team-a/app", [os.urandom(3_000_000)], "v1", os="linux")
    assert moorage("images", "list", str(file), "--json").json["growth"] is None
    assert "Growing" not in moorage("images", "list", str(file)).stdout
    for number, blob in enumerate(sorted((registry.v2 / "blobs").rglob("data"))):
        age = 40 if blob.stat().st_size < 1_000_000 else 10 + number
        os.utime(blob, (time.time() - age * 86400,) * 2)
    growth = moorage("images", "list", str(file), "--json").json["growth"]
    assert (growth["days"], growth["bytes_per_day"]) == (30, 100_000)
    assert growth["days_until_full"] > 1000
    text = moorage("images", "list", str(file)).stdout
    assert "Growing by 97.7 KiB a day over the last 30 days; the disk is not full for years" in text


def test_an_empty_registry(moorage: Moorage, file: Path) -> None:
    outcome = moorage("images", "list", str(file))

    assert outcome.code == 0
    assert "0 repositories, 0 tags" in outcome.stdout
    assert moorage("images", "list", str(file), "--json").json["repositories"] == []


def test_show(moorage: Moorage, file: Path, registry: StoredRegistry) -> None:
    earlier = _image(registry, "app", [b"earlier"], "v1")
    history = [
        {"created": "2026-01-01T00:00:00Z", "created_by": "COPY base /"},
        {"created": "2026-01-01T00:00:01Z", "created_by": "ENV A=1", "empty_layer": True},
    ]
    children = [
        _image(registry, "app", [b"base" * 500], os="linux", architecture=each, history=history,
               config={"Labels": {"team": "a"}, "Env": ["A=1"], "Cmd": ["run"]})
        | {"platform": {"os": "linux", "architecture": each}}
        for each in ("amd64", "arm64")
    ]  # fmt: skip
    attestation = registry.image("app", [])
    attestation |= {
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.digest": children[0]["digest"]},
    }
    index = registry.index("app", [*children, attestation], "v1", "latest")
    sbom = registry.manifest("app", {
        "mediaType": f"{OCI}.manifest.v1+json", "artifactType": "application/spdx+json",
        "config": _config(registry, "app", of="sbom"), "layers": [], "subject": index,
    })  # fmt: skip
    hexadecimal = children[0]["digest"].partition(":")[2]
    _image(registry, "app", [b"signature"], f"sha256-{hexadecimal}.sig")

    outcome = moorage("images", "show", str(file), "app:v1")
    value = moorage("images", "show", str(file), "registry.example.test/app:v1", "--json").json

    assert outcome.code == 0
    assert value["digest"] == index["digest"]
    assert value["tags"] == ["latest", "v1"]
    assert [each["platform"] for each in value["images"]] == ["linux/amd64", "linux/arm64", None]
    assert value["images"][2]["about"] == children[0]["digest"]
    config = value["images"][0]["config"]
    assert (config["labels"], config["environment"]) == ({"team": "a"}, ["A=1"])
    layer = value["images"][0]["layers"][0]
    assert [step["layer"] for step in config["history"]] == [layer["digest"], None]
    assert (layer["bytes"], layer["images"], layer["is_stored"]) == (2000, 2, True)
    assert (value["referrers"][0]["by"], value["referrers"][0]["digest"]) == (
        "subject", sbom["digest"],
    )  # fmt: skip
    assert value["referrers"][1]["tags"] == [f"sha256-{hexadecimal}.sig"]
    assert value["earlier"][0]["digest"] == earlier["digest"]
    assert value["problem"] is None
    for text in ("linux/arm64", "label team", "COPY base /", "application/spdx+json", "Earlier"):
        assert text in outcome.stdout
    # By digest, whole and shortened.
    for words in (f"app@{index['digest']}", f"app@{index['digest'][:16]}"):
        assert (
            moorage("images", "show", str(file), words, "--json").json["digest"]
            == (index["digest"])
        )
    # A repository by itself is the list of its tags.
    [listed] = moorage("images", "show", str(file), "app", "--json").json["repositories"]
    names = [tag["name"] for tag in listed["tags"]]
    assert names == ["latest", f"sha256-{hexadecimal}.sig", "v1"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ap:v1", "There is no repository ap. Did you mean app?"),
        ("ap", "There is no repository ap. Did you mean app?"),
        ("web:v1", "There is no repository web. Did you mean team-b/web?"),
        ("app:v2", "app has no tag v2."),
        ("app@sha256:ffffff", "app has no manifest sha256:ffffff."),
        ("app:torn", "has lost its link"),
    ],
)
def test_what_is_not_there(
    moorage: Moorage, file: Path, registry: StoredRegistry, name: str, message: str
) -> None:
    _image(registry, "app", [b"1"], "v1")
    _image(registry, "team-b/web", [b"1"], "v1")
    registry.write("repositories/app/_manifests/tags/torn/current/link", b"")

    outcome = moorage("images", "show", str(file), name)

    assert outcome.code == 1
    assert message in outcome.stderr
    value = moorage("images", "show", str(file), name, "--json").json
    assert value["error"]["code"] == "no_such_image"


def _damage(registry: StoredRegistry, blob: dict[str, Any], content: bytes | None) -> None:
    value = blob["digest"].partition(":")[2]
    path = registry.v2 / f"blobs/sha256/{value[:2]}/{value}/data"
    path.unlink()
    if content is not None:
        path.write_bytes(content)


def test_damage_is_shown(moorage: Moorage, file: Path, registry: StoredRegistry) -> None:
    layer = registry.blob("app", b"lost")
    registry.image("app", [layer], "incomplete")
    _damage(registry, layer, None)
    config = _config(registry, "app", os="linux")
    registry.manifest("app", {
        "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": [],
    }, "config")  # fmt: skip
    _damage(registry, config, b"{}")
    _damage(registry, _image(registry, "app", [b"1"], "cut", of="cut"), b"{}")

    listed = moorage("images", "list", str(file), "--tags").stdout
    shown = {
        name: moorage("images", "show", str(file), f"app:{name}", "--json").json
        for name in ("incomplete", "config", "cut")
    }

    assert "incomplete: 1 blob is missing" in listed
    assert "cannot be read: its content does not match its digest" in listed
    assert shown["incomplete"]["missing"] == [layer["digest"]]
    assert shown["config"]["images"][0]["problem"] == "its configuration was not read"
    assert shown["cut"]["problem"] == "its content does not match its digest"
    for name in shown:
        assert moorage("images", "show", str(file), f"app:{name}").code == 0


_HOSTILE: dict[str, Callable[[], bytes]] = {
    "deep": lambda: b"[" * 200_000 + b"]" * 200_000,
    "deep object": lambda: b'{"config":' * 100_000 + b"1" + b"}" * 100_000,
    "long number": lambda: b'{"created": ' + b"9" * 100_000 + b"}",
    "no number": lambda: b'{"created": NaN, "config": {"Env": [1, null, {}]}, "history": [7, {}]}',
    "lists for texts": lambda: b'{"config": [], "history": {}, "os": ["x"]}',
    "half a character": lambda: b'{"created": "\\ud800", "config": {"Labels": {"\\udfff": "x"}}}',
    "not text": lambda: b"\xff\xfe\x00",
    "large": lambda: json.dumps({"created": "x" * (5 * 1024**2)}).encode(),
}


@pytest.mark.parametrize("kind", _HOSTILE)
def test_hostile_configurations_break_nothing(
    moorage: Moorage, file: Path, registry: StoredRegistry, kind: str
) -> None:
    config = registry.blob("app", _HOSTILE[kind]()) | {"mediaType": f"{OCI}.config.v1+json"}
    registry.manifest("app", {
        "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": [],
    }, "v1")  # fmt: skip

    assert moorage("images", "show", str(file), "app:v1").code == 0
    assert moorage("images", "show", str(file), "app:v1", "--json").json["exit_code"] == 0


def test_hostile_text_does_not_reach_the_terminal(
    moorage: Moorage, file: Path, registry: StoredRegistry
) -> None:
    layer = registry.blob("app", b"1") | {"mediaType": NASTY}
    config = _config(
        registry, "app", os=NASTY, created=NASTY, history=[{"created_by": NASTY}],
        config={"Labels": {NASTY: NASTY}, "Env": [NASTY], "Cmd": [NASTY], "User": NASTY},
    )  # fmt: skip
    image = registry.manifest("app", {
        "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": [layer],
        "annotations": {NASTY: NASTY}, "artifactType": NASTY,
    })  # fmt: skip
    platform = {"os": NASTY, "architecture": "amd64"}
    index = registry.index("app", [image | {"platform": platform}], "v1")
    registry.manifest("app", {
        "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": [], "subject": index,
        "artifactType": NASTY,
    })  # fmt: skip
    registry.manifest(
        f"odd{NASTY}", {"mediaType": f"{OCI}.index.v1+json", "manifests": []}, f"v{NASTY}"
    )

    suggestion = moorage("images", "show", str(file), "odd[31mred]0;titlefake line").stderr
    assert "Did you mean odd" in suggestion
    assert not any(line.startswith("fake") for line in suggestion.splitlines()[1:])
    for words in (["list"], ["list", "*", "--tags"], ["show", "app:v1"], ["show", f"odd{NASTY}"]):
        command, *rest = words
        for more in ([], ["--json"]):
            outcome = moorage("images", command, str(file), *rest, *more)
            assert outcome.code == 0, outcome.stderr
            assert not {"\x1b", "\x07", "\u202e"} & set(outcome.stdout + outcome.stderr)
            assert not any(line.startswith("fake") for line in outcome.stdout.splitlines())


@pytest.mark.parametrize("command", [["list"], ["show", "app:v1"]])
def test_what_stops_them(
    moorage: Moorage, file: Path, servers: FakeServers, registry: StoredRegistry, home: Path,
    command: list[str],
) -> None:  # fmt: skip
    first, *rest = command
    _image(registry, "app", [b"1"], "v1")
    words = ("images", first, str(file), *rest)
    by_server = ("images", first, "--server", f"root@{ONE}", *rest)
    assert moorage(*words).code == moorage(*by_server).code == 0

    servers[ONE].fault = no_answer(ONE)
    assert moorage(*words).code == moorage(*by_server).code == 4
    servers[ONE].fault = None
    record = servers[ONE].files[layout.DEPLOYMENT]

    servers[ONE].files = {}
    assert moorage(*words, "--json").json["error"]["code"] == "not_deployed"
    servers[ONE].files = {layout.DEPLOYMENT: record.replace(b"registry.ex", b"other.ex")}
    other = moorage(*words)
    assert other.code == 1
    assert "it serves other.example.test" in other.stderr
    servers[ONE].files = {layout.DEPLOYMENT: record}
    assert moorage("images", first).code == 2
    assert moorage(*words, "one", "too many").code == 2
    bucket = write_answers(home / "two.yml", [ONE, TWO])
    deploy(servers[ONE], bucket)
    deploy(servers[TWO], bucket)
    deploy(servers[TWO], file)
    assert moorage("images", first, str(bucket), *rest, "--json").json["error"]["code"] == (
        "different_stores"
    )


def test_last_pushes_and_pulls(
    moorage: Moorage, file: Path, servers: FakeServers, registry: StoredRegistry
) -> None:
    now = int(time.time())
    digest = _image(registry, "team-a/app", [b"a" * 1024], "v1", "v2", os="linux")["digest"]
    _image(registry, "team-b/web", [b"s" * 2048], "v1", os="linux")
    _image(registry, "team-c/old", [b"o" * 2048], "v1", os="linux")
    index = Index()
    index.covers_since = now - 90 * 86400
    index.images = {
        ("team-a/app", "v1"): [(now, "ci"), NEVER, NEVER],
        # Its digest was pulled by another tag, so both tags are in use.
        ("team-a/app", digest): [(now, "ci"), (now - 7200, "ana"), NEVER],
        # A push that the log does not have has replaced the tag since. A client has looked.
        ("team-b/web", "v1"): [(now - 9000, "ci"), NEVER, (now - 600, r"\x1B[31m")],
    }
    index.users = {"ci": [now, now], "ana": [now, 0], r"\x1B[31m": [now, 0]}
    servers[ONE].activity = index

    rows = moorage("images", "list", str(file), "--tags", "--sort", "pulled").stdout.splitlines()
    assert [row.split()[0] for row in rows[1:5]] == [
        "team-b/web:v1", "team-a/app:v1", "team-a/app:v2", "team-c/old:v1"
    ]  # fmt: skip
    assert "just now        10 min ago by \\x1b[31m" in rows[1]
    assert "just now by ci  2 h ago by ana" in rows[2]
    assert "just now        2 h ago by ana" in rows[3]
    assert rows[-1].startswith("All pulls since 20")
    value = moorage("images", "list", str(file), "--json").json
    assert value["pulls_known_since"].endswith("Z")
    [app, web, old] = value["repositories"]
    assert [tag["pushed_by"] for tag in app["tags"]] == ["ci", None]
    assert (app["pulled_by"], app["tags"][1]["pulled_by"]) == ("ana", "ana")
    assert (web["pushed_by"], web["pulled_by"]) == (None, "\x1b[31m")
    assert (old["pulled_at"], old["pulled_by"]) == (None, None)

    shown = moorage("images", "show", str(file), "team-a/app:v1").stdout
    assert "pushed by  ci" in shown
    assert "last pull  2 h ago by ana" in shown
    value = moorage("images", "show", str(file), "team-a/app:v2", "--json").json
    assert (value["pushed_by"], value["pulled_by"]) == (None, "ana")


def test_a_log_that_cannot_be_read_does_not_hide_the_images(
    moorage: Moorage, file: Path, servers: FakeServers, registry: StoredRegistry
) -> None:
    _image(registry, "team-a/app", [b"a" * 1024], "v1", os="linux")
    servers[ONE].has_no_logs = True
    outcome = moorage("images", "list", str(file))
    assert outcome.code == 0
    assert "team-a/app" in outcome.stdout
    assert f"! {ONE}: last pulls are not known: No answer." in outcome.stdout
    assert moorage("images", "list", str(file), "--json").json["pulls_known_since"] is None
