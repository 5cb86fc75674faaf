"""Reading a registry's storage with the script that runs on servers."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
from pathlib import Path

import pytest
from stored_registry import StoredRegistry

from moorage.images.read import StoredReader, read_stored
from moorage.images.usage import measure
from templates.load import shell_script


@pytest.fixture
def registry(tmp_path: Path) -> StoredRegistry:
    registry = StoredRegistry(tmp_path)
    registry.v2.mkdir(parents=True)
    return registry


def _output(registry: StoredRegistry) -> bytes:
    return subprocess.run(
        ["sh", "-c", shell_script("images.sh")], input=f"{registry.root}\n".encode(),
        capture_output=True, check=True,
    ).stdout  # fmt: skip


def test_reads_tags_manifests_and_blobs(registry: StoredRegistry) -> None:
    base = registry.blob("team/app", b"base" * 1000)
    amd64 = registry.image("team/app", [base, registry.blob("team/app", b"amd64")])
    arm64 = registry.image("team/app", [base, registry.blob("team/app", b"arm64")])
    index = registry.index("team/app", [
        amd64 | {"platform": {"os": "linux", "architecture": "amd64"}},
        arm64 | {"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
    ], "v1", "latest")  # fmt: skip
    registry.write("repositories/team/app/_uploads/0b/startedat", b"2026-01-01T00:00:00Z")

    stored = registry.read()

    repository = stored.tree.repositories["team/app"]
    assert {name: tag.digest for name, tag in repository.tags.items()} == {
        "v1": index["digest"], "latest": index["digest"],
    }  # fmt: skip
    assert set(repository.manifests) == {each["digest"] for each in (index, amd64, arm64)}
    assert stored.unreadable == {}
    assert set(repository.uploads) == {"0b"}
    assert stored.tree.foreign == []
    tag = measure(stored).repositories[0].tags[0]
    assert tag.platforms == ("linux/amd64", "linux/arm64/v8")
    assert tag.size == sum(file.size for file in stored.tree.blobs.values())


def test_counts_shared_layers_once(registry: StoredRegistry) -> None:
    shared = {name: registry.blob(name, b"s" * 5000) for name in ("a", "b")}
    own = registry.blob("a", b"o" * 300)
    registry.image("a", [shared["a"], own], "v1", "same")
    registry.image("a", [shared["a"]], "v2")
    registry.image("b", [shared["b"]], "v1")

    usage = measure(registry.read())

    a, b = usage.repositories
    assert (
        usage.size
        == usage.tagged_size
        == sum(f.stat().st_size for f in registry.v2.glob("blobs/*/*/*/data"))
    )
    v1 = next(tag for tag in a.tags if tag.name == "v1")
    v2 = next(tag for tag in a.tags if tag.name == "v2")
    assert v1.size - v1.own_size == 5000
    assert v1.own_size > 300
    # Both images named v2 of a and v1 of b have the same content, so nothing of it is their own.
    assert v2.own_size == b.tags[0].own_size == 0
    assert b.own_size == 0


def test_manifests_that_are_known_are_not_sent_again(registry: StoredRegistry) -> None:
    registry.image("a", [registry.blob("a", b"1")], "v1")
    first = registry.read()
    registry.image("a", [registry.blob("a", b"2")], "v2")

    completed = subprocess.run(
        ["sh", "-c", shell_script("images.sh")], capture_output=True, check=True,
        input="\n".join([str(registry.root), *(d[7:] for d in first.manifests), ""]).encode(),
    )  # fmt: skip

    assert len(read_stored(completed.stdout, {}).manifests) == 1
    assert len(registry.read(first.manifests).manifests) == 2


def test_a_link_of_another_algorithm_is_followed(registry: StoredRegistry) -> None:
    layer = registry.blob_by_sha512("a", b"content")
    digest = f"sha256:{hashlib.sha256(b'content').hexdigest()}"
    image = registry.image("a", [layer], "v1")
    other = registry.image("other", [layer, registry.blob("other", b"more")], "v1")
    # What was written last counts, whichever link it is.
    registry.write(f"repositories/a/_layers/{digest.replace(':', '/')}/link", digest.encode())

    stored = registry.read()

    config, link = stored.manifests[image["digest"]].config, stored.tree.repositories["a"].blobs
    assert config is not None
    assert link.keys() == {digest, config.digest}
    written = registry.v2 / f"repositories/a/_layers/{digest.replace(':', '/')}/link"
    assert link[digest].changed == pytest.approx(written.stat().st_ctime, abs=1e-4)
    assert [part.digest for part in stored.manifests[image["digest"]].layers] == [digest]
    assert stored.manifests[other["digest"]].layers[0].digest == digest


def test_a_link_of_another_algorithm_that_is_torn_is_damage(registry: StoredRegistry) -> None:
    layer = registry.blob_by_sha512("a", b"content")
    image = registry.image("a", [layer], "v1")
    registry.write(f"repositories/a/_layers/{layer['digest'].replace(':', '/')}/link", b"")
    assert registry.read().unreadable.keys() == {image["digest"]}


def test_damage_is_named(registry: StoredRegistry) -> None:
    gone = registry.image("a", [registry.blob("a", b"1")], "gone")
    cut = registry.image("a", [registry.blob("a", b"2")], "cut")
    odd = registry.manifest("a", {"mediaType": "application/vnd.example.unknown"}, "odd")
    registry.write("repositories/a/_manifests/tags/torn/current/link", b"")
    registry.write("repositories/a/_manifests/tags/ghost/index/sha256/" + "a" * 64 + "/link")
    registry.write("blobs/sha256/notes.txt")
    for each, content in ((gone, None), (cut, b"{}")):
        value = each["digest"][7:]
        data = registry.v2 / f"blobs/sha256/{value[:2]}/{value}/data"
        data.unlink()
        if content is not None:
            data.write_bytes(content)

    stored = registry.read()

    assert stored.unreadable == {
        gone["digest"]: "its content is missing",
        cut["digest"]: "its content does not match its digest",
        odd["digest"]: "its media type is unknown",
    }
    tags = stored.tree.repositories["a"].tags
    assert (tags["torn"].digest, tags["ghost"].digest, tags["ghost"].link) == ("", "", None)
    assert stored.tree.foreign == ["blobs/sha256/notes.txt"]


@pytest.mark.parametrize("name", ["Layers", "LAYERS", "layer\u017f"])
def test_layers_that_only_the_registry_finds_are_damage(
    registry: StoredRegistry, name: str
) -> None:
    """Go ignores case, and the registry serves such an image."""
    layer = registry.blob("a", b"1")
    odd = registry.image("a", [], "odd", **{name: [layer]})
    shouted = registry.image("a", [{**layer, "Digest": f"sha256:{'0' * 64}"}], "shouted")
    assert registry.read().unreadable.keys() == {odd["digest"], shouted["digest"]}


UPLOAD = "./repositories/team/app/_uploads/0b1c"
ABSENT = "No such file or directory"


@pytest.mark.parametrize(
    ("path", "error", "is_harmless"),
    [
        (UPLOAD, ABSENT, True),
        (f"{UPLOAD}/hashstates/sha256", ABSENT, True),
        ("./repositories/team/app/_manifests/tags/v1", ABSENT, True),
        (f"./repositories/team/app/_layers/sha256/{'0' * 64}", ABSENT, True),
        (f"blobs/sha256/00/{'0' * 64}", ABSENT, True),
        (UPLOAD, "Permission denied", False),
        ("./repositories", ABSENT, False),
        ("./repositories/team/app", ABSENT, False),
        ("./repositories/team/app/_manifests/tags", ABSENT, False),
        ("blobs/sha256/00", ABSENT, False),
    ],
)
def test_only_what_a_registry_removes_can_vanish_while_it_is_read(
    registry: StoredRegistry, tmp_path: Path, path: str, error: str, is_harmless: bool
) -> None:
    registry.image("team/app", [registry.blob("team/app", b"layer")], "v1")
    find = tmp_path / "bin" / "find"
    find.parent.mkdir()
    find.write_text(f"""#!/bin/sh
/usr/bin/find "$@"
case "$1:{path}" in .:./* | blobs:blobs/*) echo "find: '{path}': {error}" >&2; exit 1 ;; esac
""")
    find.chmod(0o755)

    ended = subprocess.run(
        ["sh", "-c", shell_script("images.sh")], input=f"{registry.root}\n".encode(),
        capture_output=True, check=False, env={"PATH": f"{find.parent}:/usr/bin:/bin"},
    )  # fmt: skip

    assert ended.returncode == (0 if is_harmless else 4), ended.stderr
    if is_harmless:
        assert "v1" in read_stored(ended.stdout, {}).tree.repositories["team/app"].tags
    else:
        assert error.encode() in ended.stderr


def test_what_is_no_registry_is_refused(tmp_path: Path) -> None:
    completed = subprocess.run(
        ["sh", "-c", shell_script("images.sh")], input=f"{tmp_path}\n".encode(), check=False,
        capture_output=True,
    )  # fmt: skip
    assert completed.returncode == 3
    assert completed.stdout == b""


def test_an_output_that_was_cut_is_refused(registry: StoredRegistry) -> None:
    registry.image("a", [registry.blob("a", b"1")], "v1")
    output = _output(registry)
    read_stored(output, {})
    for length in range(len(output)):
        with pytest.raises(ValueError, match="cut"):
            read_stored(output[:length], {})


def test_parts_of_the_output_are_read_as_they_come(registry: StoredRegistry) -> None:
    for number in range(5):
        registry.image("a", [registry.blob("a", b"%d" % number)], f"v{number}", "latest")
    registry.write("repositories/a/_manifests/tags/torn/current/link", b"")
    output = _output(registry)
    expected = read_stored(output, {})
    for length in (1, 7, 100):
        reader = StoredReader({})
        for at in range(0, len(output), length):
            reader.feed(output[at : at + length])
        assert reader.result() == expected


def test_a_known_manifest_counts_only_while_it_is_stored(registry: StoredRegistry) -> None:
    image = registry.image("a", [registry.blob("a", b"1")], "v1")
    known = registry.read().manifests
    value = image["digest"][7:]
    (registry.v2 / f"blobs/sha256/{value[:2]}/{value}/data").unlink()

    stored = registry.read(known)

    assert stored.manifests == {}
    assert stored.unreadable == {image["digest"]: "its content is missing"}


@pytest.mark.parametrize(
    ("streams", "reason"),
    [
        ([b"\x00" * 100], "not enough values"),
        ([b"1 2 3 " + b"x" * 10_000_000], "damaged"),
        ([b"1 x 3 path\0"], "could not convert"),
        ([b"", b"", b"", b"x" * 124 + b"77777777777\0" + b"x" * 400], "damaged"),
        ([b"", b"", b"", b"x" * 124 + b"-7777777777\0" + b"x" * 400], "damaged"),
        ([b"", b""], "cut"),
        ([b"", b"", b"", b"", b""], "cut"),
    ],
)
def test_an_output_of_something_else_is_refused(streams: list[bytes], reason: str) -> None:
    output = b"".join(map(gzip.compress, streams))
    with pytest.raises((ValueError, IndexError), match=reason):
        read_stored(output, {})


def test_what_is_not_gzip_or_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="damaged"):
        read_stored(b"Last login: today\n", {})
    monkeypatch.setattr("moorage.images.read.LARGEST_OUTPUT", 1024 * 1024)
    with pytest.raises(ValueError, match="more than 1 MiB"):
        read_stored(gzip.compress(bytes(10_000_000)), {})


def test_a_registry_without_content_is_read(registry: StoredRegistry) -> None:
    registry.write("repositories/a/_uploads/1/startedat")
    assert list(registry.read().tree.repositories) == ["a"]


def test_without_space_for_the_listing_nothing_is_read(
    registry: StoredRegistry, tmp_path: Path
) -> None:
    registry.image("a", [registry.blob("a", b"1")], "v1")
    full = tmp_path / "bin/gzip"
    full.parent.mkdir()
    full.write_text(
        '#!/bin/sh\nif [ -f /proc/self/fd/1 ]; then exit 1; fi\nexec /usr/bin/gzip "$@"\n'
    )
    full.chmod(0o755)
    completed = subprocess.run(
        ["sh", "-c", shell_script("images.sh")], input=f"{registry.root}\n".encode(),
        env={"PATH": f"{full.parent}:/usr/bin:/bin"}, capture_output=True, check=False,
    )  # fmt: skip
    assert completed.returncode == 4
    assert b"no space for the listing" in completed.stderr
