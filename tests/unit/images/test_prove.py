"""A new program proves itself on stored images: what is read, compared and left out."""

from __future__ import annotations

import ast
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest
from sample_images import sample_images
from stored_registry import StoredRegistry

from moorage.images import prove

Response = tuple[int, dict[str, str], bytes]
IN_MINIMAL = {
    "__future__", "collections.abc", "hashlib", "os", "re", "socket", "sys", "time", "typing",
}  # fmt: skip


class FakeSlot:
    """A registry that serves a store on a unix socket.

    Attributes:
        asked: The requests.
        wrong: Changes an answer, by method and path; None leaves it.
    """

    def __init__(self, store: Path) -> None:
        self.asked: list[str] = []
        self.wrong: Callable[[str, str], Response | None] = lambda method, path: None
        self._v2 = store / "docker/registry/v2"

    def answer(self, method: str, path: str) -> Response:
        """Return the status, the headers and the body for a request."""
        self.asked.append(f"{method} {path}")
        changed = self.wrong(method, path)
        if changed is not None:
            return changed
        if not path:
            return 200, {}, b"{}"
        if path == "_catalog?n=100":
            links = sorted(self._v2.glob("repositories/**/_manifests"))
            names = [str(each.parent.relative_to(self._v2 / "repositories")) for each in links]
            return 200, {}, json.dumps({"repositories": names}).encode()
        if found := re.fullmatch(r"(.+)/tags/list", path):
            tags = self._v2 / "repositories" / found[1] / "_manifests/tags"
            listed = sorted(each.name for each in tags.iterdir()) if tags.is_dir() else []
            return 200, {}, json.dumps({"name": found[1], "tags": listed}).encode()
        found = re.fullmatch(r"(.+)/(manifests|blobs)/([^/]+)", path)
        assert found is not None, path
        digest = found[3]
        if not digest.startswith("sha256:"):
            link = (
                self._v2 / "repositories" / found[1] / "_manifests/tags" / digest / "current/link"
            )
            digest = link.read_text() if link.exists() else ""
        value = digest.removeprefix("sha256:")
        data = self._v2 / "blobs/sha256" / value[:2] / value / "data"
        if not value or not data.exists():
            return 404, {}, b'{"errors":[]}'
        body = data.read_bytes()
        kind = json.loads(body).get("mediaType", "") if found[2] == "manifests" else ""
        return 200, {"Docker-Content-Digest": digest, "Content-Type": kind}, body


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@contextmanager
def _serving(slot: FakeSlot, path: Path) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = slot.answer(self.command, self.path.removeprefix("/v2/"))
            if status == 0:
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name != "do_HEAD":
                raise AttributeError(name)
            return self.do_GET

        def log_message(self, *_: object) -> None:
            """Print nothing."""

        def address_string(self) -> str:
            return "unix"

    with _Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class Slots:
    """Two slots on one store."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "store"
        self._folder = folder
        self.new, self.old = FakeSlot(self.store), FakeSlot(self.store)

    def prove(self, root: str | None = None) -> int:
        """Prove the new one."""
        new, old = self._folder / "new.sock", self._folder / "old.sock"
        for each in (new, old):
            each.unlink(missing_ok=True)
        with _serving(self.new, new), _serving(self.old, old):
            return prove.main(str(new), str(old), root or str(self.store))


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    return Slots(tmp_path)


@pytest.mark.parametrize("root", [None, "-"])
def test_what_both_slots_serve_alike_is_proof(
    slots: Slots, root: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    sample_images(slots.store)

    assert slots.prove(root) == 0

    said = capsys.readouterr().out
    assert re.match(r"the new program has read \d+ tags in [67] repositories, with \d+ ", said)
    # The store has an image without its layer.
    assert "1 of them cannot be read by the active slot either" in said
    # The newest tags of each; an index leads to an image of one platform.
    if root is None:
        assert len([each for each in slots.new.asked if re.match("HEAD team-a/app/m", each)]) == 2
        assert len([each for each in slots.new.asked if re.match("GET multi/arch/m", each)]) == 2
    assert not [each for each in slots.new.asked if not re.match("HEAD |GET ", each)]


def _digest_of(path: str) -> str:
    return path.rpartition("/")[2]


OTHER = "sha256:" + "0" * 64
FAULTS: dict[str, tuple[Callable[[str, str], Response | None], str]] = {
    "another digest": (
        lambda method, path: (200, {"Docker-Content-Digest": OTHER}, b"x")
        if path.startswith("team/app/manifests/v") else None,
        f"HEAD /v2/team/app/manifests/v1: {OTHER}, expected sha256:",
    ),
    "no such tag": (
        lambda method, path: (404, {}, b"") if path.endswith("/v1") else None,
        "HEAD /v2/team/app/manifests/v1: status 404, expected sha256:",
    ),
    "no answer": (
        lambda method, path: (0, {}, b"") if path.endswith("/v1") else None,
        "HEAD /v2/team/app/manifests/v1: no answer, expected sha256:",
    ),
    "other bytes in a manifest": (
        lambda method, path: (200, {"Docker-Content-Digest": _digest_of(path)}, b"{}")
        if method == "GET" and "/manifests/sha256:" in path else None,
        ": other content, expected the manifest sha256:",
    ),
    "a blob that is not found": (
        lambda method, path: (404, {}, b"") if "/blobs/" in path else None,
        ": status 404, expected ",
    ),
    "a blob of another size": (
        lambda method, path: (200, {}, b"seven..") if "/blobs/" in path else None,
        ": other content, expected ",
    ),
    "a blob with other bytes": (
        lambda method, path: (200, {}, b"") if method == "GET" and "/blobs/" in path else None,
        ": other content, expected the blob sha256:",
    ),
    "a server error": (
        lambda method, path: (503, {}, b"") if "/blobs/" in path else None,
        ": status 503, expected ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_difference_names_the_image_and_the_reason(
    slots: Slots, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = StoredRegistry(slots.store)
    registry.image("team/app", [registry.blob("team/app", b"layer" * 50)], "v1")
    slots.new.wrong, why = FAULTS[fault]

    assert slots.prove() == 3

    image, _, reason = capsys.readouterr().out.strip().partition("\t")
    assert image == "team/app:v1"
    assert why in reason


def test_a_store_that_sends_clients_elsewhere_is_read(slots: Slots) -> None:
    registry = StoredRegistry(slots.store)
    registry.image("team/app", [registry.blob("team/app", b"layer" * 50)], "v1")
    slots.new.wrong = lambda method, path: (307, {}, b"") if "/blobs/" in path else None

    assert slots.prove() == 0


def test_without_the_active_slot_the_new_one_is_read_by_itself(
    slots: Slots, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = StoredRegistry(slots.store)
    registry.image("team/app", [registry.blob("team/app", b"layer" * 50)], "v1")
    slots.old.wrong = lambda method, path: (0, {}, b"")

    assert slots.prove("-") == 0
    assert "has read 1 tag in 1 repository, with 2 " in capsys.readouterr().out
    slots.new.wrong = FAULTS["other bytes in a manifest"][0]
    assert slots.prove("-") == 3


def test_an_empty_registry_proves_nothing_and_says_so(
    slots: Slots, capsys: pytest.CaptureFixture[str]
) -> None:
    assert slots.prove() == 0
    assert "no images yet" in capsys.readouterr().out
    assert slots.new.asked == slots.old.asked == []


def test_the_sample_of_many_images_is_limited_and_spread(slots: Slots) -> None:
    registry = StoredRegistry(slots.store)
    layer = registry.blob("many/app-000", b"layer")
    for number in range(200):
        registry.image(f"many/app-{number:03}", [layer], "a", "b", "c")

    assert slots.prove() == 0

    read = {found[1] for each in slots.new.asked if (found := re.match(r"HEAD (\S+)/m", each))}
    assert len(read) == prove.REPOSITORIES
    assert min(read) == "many/app-000"
    assert max(read) > "many/app-180"
    tags = [each for each in slots.new.asked if re.match("HEAD many/app-000/m", each)]
    assert len(tags) == prove.TAGS


def test_damaged_links_and_odd_names_are_left_out(slots: Slots) -> None:
    registry = StoredRegistry(slots.store)
    registry.image("team/app", [registry.blob("team/app", b"layer")], "good", "bad", "long", "link")
    tags = slots.store / "docker/registry/v2/repositories/team/app/_manifests/tags"
    (tags / "bad/current/link").write_bytes(b"\xff\xfe not a digest")
    (tags / "long/current/link").write_text("sha256:" + "a" * 10_000)
    (tags / "link/current/link").unlink()
    (tags / "link/current/link").symlink_to("/etc/hostname")
    (tags.parents[3] / "UPPER\nname/_manifests/tags").mkdir(parents=True)

    assert slots.prove() == 0
    asked = {each for each in slots.new.asked if "/manifests/" in each and "sha256" not in each}
    assert asked == {"HEAD team/app/manifests/good"}


def test_a_tag_that_is_pushed_meanwhile_is_read_again(slots: Slots) -> None:
    registry = StoredRegistry(slots.store)
    registry.image("team/app", [registry.blob("team/app", b"one")], "v1")
    pushes = [b"two", b"three"]

    def push(method: str, path: str) -> None:
        if path.endswith("/v1") and pushes:
            registry.image("team/app", [registry.blob("team/app", pushes.pop())], "v1")

    slots.new.wrong = push
    assert slots.prove() == 0


def test_it_needs_only_what_python3_minimal_has() -> None:
    tree = ast.parse(Path(prove.__file__).read_text(encoding="utf-8"))
    imported = {each.module or "" for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)}
    imported |= {
        name.name for each in ast.walk(tree) if isinstance(each, ast.Import) for name in each.names
    }
    assert imported <= IN_MINIMAL


def test_descriptors_are_found_without_a_module_for_json() -> None:
    content = json.dumps({
        "schemaVersion": 2,
        "config": {"mediaType": "x", "size": 12, "digest": f"sha256:{'a' * 64}"},
        "layers": [
            {"digest": f"sha256:{'b' * 64}", "size": 34, "annotations": {"a": "sha256:"}},
            {"digest": f"sha256:{'c' * 64}", "size": 5, "urls": ["https://example.com/x"]},
            {"platform": {"os": "linux", "digest": "no"}, "digest": f"sha256:{'d' * 64}"},
        ],
    })  # fmt: skip
    found = prove._parts(content.encode())
    assert [(each.digest[7], each.size) for each in found] == [("a", 12), ("b", 34), ("d", -1)]
