"""The index of pushes and pulls: logs as nginx writes them, rotated, packed, damaged and lost."""

from __future__ import annotations

import gzip
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.images import activity
from moorage.images.activity import (
    LOOK,
    NEVER,
    PULL,
    PUSH,
    Index,
    Recorder,
    load,
    parse_index,
    save,
    update,
    update_folder,
)

T0 = 1_790_000_000
DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32
REGISTRY = "unix:/run/moorage-registry/blue/registry.sock"


def line(
    at: int = 0,
    user: str = "ana",
    status: int | str = 200,
    method: str = "GET",
    path: str = "/v2/team/app/manifests/latest",
    agent: str = "docker/27.5.1",
    upstream: str = REGISTRY,
    digest: str | None = DIGEST,
) -> str:
    """Return a line as nginx writes it, so many seconds after the beginning."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(T0 + at))
    fields = [stamp, user, status, method, path, "10.0.0.1", 1234, "0.005", agent, upstream]
    return "\t".join(map(str, fields if digest is None else [*fields, digest]))


def index_of(*lines: str) -> Index:
    """Return the index of some lines."""
    index = Index()
    recorder = Recorder(index)
    for each in lines:
        recorder.add(each.encode("latin-1"))
    return index


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log nginx writes to."""
    monkeypatch.setattr(activity, "_ROTATION", 0.01)
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "moorage.log").touch()
    return folder / "moorage.log"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder of the index."""
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def write(log: Path, *lines: str) -> None:
    """Write lines as nginx does."""
    with log.open("a", encoding="latin-1") as file:
        file.writelines(f"{each}\n" for each in lines)


def pulls(index: Index) -> dict[str, tuple[int, str]]:
    """Return the last pull of each tag, in seconds after the beginning."""
    return {
        reference: (marks[PULL][0] - T0, marks[PULL][1])
        for (_, reference), marks in index.images.items()
        if marks[PULL] != NEVER and ":" not in reference
    }


def since(index: Index) -> int:
    """Return since when an index is complete, in seconds after the beginning."""
    return index.covers_since - T0


def rotate(log: Path, pack: bool = True) -> None:
    """Rotate a log as logrotate does on Debian: the second one is packed."""
    for number in range(20, 0, -1):
        for suffix in ("", ".gz"):
            old = log.with_name(f"{log.name}.{number}{suffix}")
            if old.exists():
                old.rename(log.with_name(f"{log.name}.{number + 1}{suffix}"))
    second = log.with_name(f"{log.name}.2")
    if pack and second.exists():
        packed = second.with_name(f"{second.name}.gz")
        packed.write_bytes(gzip.compress(second.read_bytes()))
        shutil.copystat(second, packed)
        second.unlink()
    log.rename(log.with_name(f"{log.name}.1"))
    log.touch()


def test_a_pull_counts_for_the_tag_and_its_digest() -> None:
    index = index_of(line(5))
    expected = [NEVER, (T0 + 5, "ana"), NEVER]
    assert index.images == {("team/app", "latest"): expected, ("team/app", DIGEST): expected}
    assert index.users == {"ana": [T0 + 5, 0]}


def test_a_push_counts_for_the_tag_and_its_digest() -> None:
    index = index_of(line(5, method="PUT", status=201))
    assert index.images["team/app", "latest"] == [(T0 + 5, "ana"), NEVER, NEVER]
    assert index.images["team/app", DIGEST][PUSH] == (T0 + 5, "ana")
    assert index.users == {"ana": [T0 + 5, T0 + 5]}


@pytest.mark.parametrize("digest", [DIGEST, None])
def test_containerd_asks_for_the_tag_and_pulls_the_digest(digest: str | None) -> None:
    by_digest = f"/v2/team/app/manifests/{DIGEST}"
    child = f"/v2/team/app/manifests/{OTHER}"
    index = index_of(
        line(0, method="HEAD", digest=digest),
        line(1, path=by_digest, digest=digest),
        line(2, path=child, digest=OTHER if digest else None),
    )
    assert index.images["team/app", "latest"] == [NEVER, (T0 + 1, "ana"), (T0, "ana")]
    assert index.images["team/app", DIGEST][PULL] == (T0 + 1, "ana")
    assert index.images["team/app", OTHER][PULL] == (T0 + 2, "ana")
    assert [event[1:] for event in index.events] == [("pull", "ana", "team/app", "latest")]


def test_a_digest_that_the_tag_does_not_have_is_not_a_pull_of_the_tag() -> None:
    index = index_of(
        line(0, method="HEAD"), line(1, path=f"/v2/team/app/manifests/{OTHER}", digest=OTHER)
    )
    assert index.images["team/app", "latest"][PULL] == NEVER


def test_a_client_that_has_the_image_only_looks() -> None:
    index = index_of(line(7, method="HEAD"))
    assert index.images["team/app", DIGEST] == [NEVER, NEVER, (T0 + 7, "ana")]


@pytest.mark.parametrize(
    "refused",
    [
        line(status=401, upstream="-"),
        line(status=403, upstream="unix:/run/moorage/denied.sock"),
        line(status=404),
        line(status=429, upstream="-"),
        line(status=499),
        line(status=503, upstream="-"),
        line(status="000", upstream="-"),
        # Only claimed: nginx has not checked the password.
        line(upstream="-"),
        line(upstream=""),
        line(user="-"),
        line(user=""),
    ],
)
def test_refused_requests_do_not_count(refused: str) -> None:
    assert index_of(refused).images == {}


@pytest.mark.parametrize(
    "check",
    [
        line(path="/v2/moorage-verify/manifests/check-1", agent="moorage-check"),
        line(path="/v2/moorage-verify/manifests/check-1", method="PUT", status=201),
        line(path="/v2/moorage-health/manifests/none", status=404),
        line(path="/v2/", agent="moorage-check"),
        line(path="/v2/", agent="moorage-failover", user="-", status=401, upstream="-"),
        line(path="/v2/moorage-verify/blobs/uploads/1?_state=a/b", method="PATCH", status=202),
    ],
)
def test_moorages_own_checks_do_not_count(check: str) -> None:
    index = index_of(check)
    assert (index.images, index.users, index.minutes) == ({}, {}, {})


@pytest.mark.parametrize(
    "pull",
    [
        line(agent="moorage-check"),
        line(path="/v2/moorage-verify/app/manifests/latest"),
        line(path="/v2/moorage-verify/blobs/manifests/latest"),
        line(path="/v2/moorage-verifyx/manifests/latest"),
    ],
)
def test_no_client_can_pass_for_a_check(pull: str) -> None:
    assert any(marks[PULL] == (T0, "ana") for marks in index_of(pull).images.values())


@pytest.mark.parametrize(
    "path",
    [
        "/v2/team/app/manifests/",
        "/v2/manifests/latest",
        "/v2/team/app/tags/list",
        "/v2/team/app/blobs/" + DIGEST,
        "/v2/team%2Fapp/manifests/latest",
        "//v2/team/app/manifests/latest",
        "/v2/team/app/manifests/la\\x09test",
        "/v2/team/app/manifests/" + "x" * 300,
        "/v2/" + "x" * 300 + "/manifests/latest",
    ],
)
def test_other_paths_are_no_pulls(path: str) -> None:
    index = index_of(line(path=path))
    assert index.images == {}
    assert "ana" in index.users


@pytest.mark.parametrize(
    "digest", ["-", "", "latest", "sha256:zz", "sha256:" + "ab" * 500, "\\x09"]
)
def test_a_digest_in_another_form_is_ignored(digest: str) -> None:
    assert set(index_of(line(digest=digest)).images) == {("team/app", "latest")}


@given(st.lists(st.binary(max_size=200), max_size=20), st.binary(max_size=100))
def test_no_bytes_break_it_or_become_a_pull(lines: list[bytes], inserted: bytes) -> None:
    index = Index()
    recorder = Recorder(index)
    good = line(1).encode()
    for each in [*lines, good[:40] + inserted, inserted + good]:
        recorder.add(each)
    recorder.add(line(2, user="bob", path="/v2/b/manifests/x", digest=None).encode())
    assert {"b"} <= {repository for repository, _ in index.images} <= {"b", "team/app"}
    text = "".join(f"{each}\n" for each in index.write())
    assert list(parse_index(text).write()) == list(index.write())


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "\0\0\0",
        line()[:60] + line(3),
        line().replace("\t", " "),
        line() + "\textra",
        line().replace("2026-", "9026-"),
        line(status="2x0"),
        line().replace("+00:00", ""),
    ],
)
def test_after_a_damaged_line_the_index_is_not_complete(damaged: str, log: Path) -> None:
    write(log, line(0), damaged, line(100))
    index = Index()
    update(index, str(log), T0 + 500)
    assert since(index) == 100
    write(log, line(200), damaged)
    update(index, str(log), T0 + 500)
    assert since(index) == 500


YEAR = 365 * 86400


def test_times_before_the_clock_was_set_do_not_count(log: Path, state: Path) -> None:
    """A server without a battery begins in the past, and its log says that of old."""
    write(log, line(-6 * YEAR), line(-6 * YEAR + 9))
    update_folder(str(state), str(log))
    write(log, line(0), line(60))
    update_folder(str(state), str(log))
    assert since(load(str(state))) == 0
    # Set back by a year, and right again: nothing is known of the time in between.
    write(log, line(100), line(-YEAR), line(-YEAR + 1))
    update_folder(str(state), str(log))
    assert since(load(str(state))) == 100
    write(log, line(3600))
    update_folder(str(state), str(log))
    assert since(load(str(state))) == 3600


def test_times_in_the_future_do_not_count(log: Path) -> None:
    index = Index()
    write(log, line(0), line(70 * YEAR), line(60))
    update(index, str(log), T0 + 90)
    assert since(index) == 90
    write(log, line(100))
    update(index, str(log), T0 + 110)
    assert since(index) == 90


def test_a_step_by_summer_time_or_the_network_is_no_gap(log: Path) -> None:
    index = Index()
    write(log, line(0), line(-300), line(20 * 86400))
    update(index, str(log), T0 + 21 * 86400)
    assert since(index) == 0


def test_the_index_begins_with_the_oldest_log(log: Path) -> None:
    for day in range(4):
        write(log, line(day * 86400), line(day * 86400 + 3600, path=f"/v2/a/manifests/v{day}"))
        rotate(log)
    index = Index()
    assert update(index, str(log)) == 8
    assert since(index) == 0
    assert pulls(index)["v0"] == (3600, "ana")
    assert pulls(index)["latest"] == (3 * 86400, "ana")


def test_a_new_log_has_nothing_to_cover(log: Path) -> None:
    index = Index()
    update(index, str(log), T0)
    assert since(index) == 0
    update(index, str(log), T0 + 100)
    assert since(index) == 0


def test_what_was_logged_before_and_after_a_rotation_counts_once(log: Path) -> None:
    index = Index()
    write(log, line(0))
    assert update(index, str(log)) == 1
    for day in range(1, 20):
        write(log, line(day * 100))
        if day % 3 == 0:
            assert update(index, str(log)) > 0
        rotate(log)
        # A worker that has not reopened the log yet.
        write(log.with_name("moorage.log.1"), line(day * 100 + 1, path=f"/v2/a/manifests/v{day}"))
        if day % 2 == 0:
            update(index, str(log))
    assert update(index, str(log)) >= 0
    assert since(index) == 0
    assert {f"v{day}" for day in range(1, 20)} <= set(pulls(index))
    assert sum(total[0] for total in index.minutes.values()) == 39
    assert update(index, str(log)) == 0


def test_an_incomplete_line_is_left_for_the_next_update(log: Path) -> None:
    index = Index()
    with log.open("w") as file:
        file.write(line(0) + "\n" + line(50)[:70])
    assert update(index, str(log)) == 1
    with log.open("a") as file:
        file.write(line(50)[70:] + "\n")
    assert update(index, str(log)) == 1
    assert (since(index), pulls(index)["latest"][0]) == (0, 50)


def test_a_log_that_is_copied_and_truncated(log: Path) -> None:
    index = Index()
    write(log, line(0), line(10))
    assert update(index, str(log)) == 2
    write(log, line(20))
    shutil.copy(log, log.with_name("moorage.log.1"))
    assert update(index, str(log)) == 1
    os.truncate(log, 0)
    write(log, line(30))
    assert update(index, str(log)) == 1
    assert since(index) == 0


@pytest.mark.parametrize("how", ["truncated", "removed", "replaced", "rotated away"])
def test_lines_that_were_lost_are_remembered(log: Path, how: str) -> None:
    index = Index()
    write(log, line(0), line(10))
    update(index, str(log))
    write(log, line(20))
    if how == "truncated":
        os.truncate(log, 0)
    elif how == "rotated away":
        for day in range(3):
            rotate(log)
            write(log, line(40 + day))
        log.with_name("moorage.log.3.gz").unlink()
    else:
        log.unlink()
    if how == "removed":
        update(index, str(log), T0 + 35)
        assert since(index) == 35
        return
    write(log, line(50))
    update(index, str(log), T0 + 100)
    assert since(index) == (40 if how == "rotated away" else 50)


def test_a_missing_log_between_two_is_a_gap(log: Path) -> None:
    index = Index()
    write(log, line(0))
    update(index, str(log))
    for number in range(1, 4):
        rotate(log, pack=False)
        write(log, line(number * 10))
    log.with_name("moorage.log.2").unlink()
    update(index, str(log))
    assert since(index) == 20


@pytest.mark.parametrize("cut", [0, 10, 30, 300])
def test_a_packed_log_that_is_damaged_is_a_gap(log: Path, cut: int) -> None:
    write(log, *(line(number) for number in range(100)))
    packed = gzip.compress(log.read_bytes())
    log.with_name("moorage.log.1.gz").write_bytes(packed[:cut])
    log.write_text(line(200) + "\n")
    index = Index()
    update(index, str(log))
    assert since(index) == 200


def test_a_log_that_is_being_packed_is_read_once(log: Path) -> None:
    write(log, *(line(number) for number in range(100)))
    rotate(log)
    first = log.with_name("moorage.log.1")
    log.with_name("moorage.log.1.gz").write_bytes(gzip.compress(first.read_bytes())[:50])
    index = Index()
    assert update(index, str(log)) == 100
    first.unlink()
    log.with_name("moorage.log.1.gz").write_bytes(gzip.compress(b"".join(
        f"{line(number)}\n".encode() for number in range(100))))  # fmt: skip
    assert update(index, str(log)) == 0
    assert since(index) == 0


def test_names_with_dates_are_read(log: Path) -> None:
    write(log, line(0))
    log.rename(log.with_name("moorage.log-20260921"))
    write(log, line(86400))
    (log.parent / "moorage.log.bak").write_text("nonsense\n")
    (log.parent / "moorage.log.3").symlink_to("/etc/passwd")
    os.mkfifo(log.parent / "moorage.log.4")
    index = Index()
    assert update(index, str(log)) == 2
    assert since(index) == 0


def test_a_line_without_end_is_not_kept_in_memory(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "_BLOCK", 1000)
    monkeypatch.setattr(activity, "LONGEST_LINE", 5000)
    write(log, line(0), "x" * 100_000, line(9))
    index = Index()
    update(index, str(log))
    assert (since(index), pulls(index)["latest"][0]) == (9, 9)
    assert update(index, str(log)) == 0


def test_the_index_is_bounded(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("MOST_IMAGES", 10), ("MOST_USERS", 5), ("MOST_HOURS", 3)):
        monkeypatch.setattr(activity, name, most)
    write(log, *(
        line(number * 1000, user=f"user{number}", path=f"/v2/a/manifests/v{number}", digest=None)
        for number in range(1000)
    ))  # fmt: skip
    index = Index()
    update(index, str(log))
    assert set(pulls(index)) == {f"v{number}" for number in range(990, 1000)}
    # Images that are not in the index may have been pulled until then.
    assert since(index) == 989_000
    assert len(index.users) == 5
    assert len(index.hours) == 3
    assert len(index.minutes) <= 120
    assert len(index.events) == activity.MOST_EVENTS


def test_totals_per_hour_have_every_request(log: Path) -> None:
    write(log, line(0), line(1, method="PUT", status=201), line(2, user="-", status=401),
          line(3, status=403), line(4, status=404, method="HEAD"), line(86400))  # fmt: skip
    index = Index()
    update(index, str(log))
    assert index.hours == {T0 // 3600: [5, 1, 5 * 1234, 1, 1]}
    assert index.minutes == {(T0 + 86400) // 60: [1, 0, 1234, 0, 1]}


def test_an_index_is_read_as_it_was_written(log: Path, state: Path) -> None:
    write(
        log, line(0), line(1, user=r"j\xC3\xBCrgen", method="PUT", status=201), line(2, status=403)
    )
    update_folder(str(state), str(log))
    index = load(str(state))
    save(index, str(state))
    assert vars(load(str(state))) == vars(index)
    assert index.images["team/app", "latest"] == [
        (T0 + 1, r"j\xC3\xBCrgen"), (T0, "ana"), NEVER
    ]  # fmt: skip
    assert (state / "index").stat().st_size < 2000


@pytest.mark.parametrize("left", [0, 0.3, 0.9, 0.999])
def test_an_index_that_is_cut_is_not_believed(log: Path, state: Path, left: float) -> None:
    write(log, *(line(each, path=f"/v2/a/manifests/v{each}") for each in range(50)))
    update_folder(str(state), str(log))
    file = state / "index"
    whole = file.read_bytes()
    with pytest.raises(ValueError, match="complete"):
        parse_index(whole[: int(len(whole) * left)].decode())
    file.write_bytes(whole[: int(len(whole) * left)])
    update_folder(str(state), str(log))
    assert file.read_bytes() == whole
    assert (state / "index.damaged").exists()


@pytest.mark.parametrize(
    "hostile",
    ["image\tlatest\t1\t0", "image\tx\t1\t9\t1\t9\t1\t9", "user\tana\tx\t1", "what\t1", "live",
     "event\t1\tpull", "hour\t1\t2", "log\tx", "repository", "covers_since\t" + "9" * 5000],
)  # fmt: skip
def test_an_index_in_another_form_is_refused(hostile: str) -> None:
    text = "\n".join(["moorage-activity\t1", hostile, "end", ""])
    with pytest.raises((ValueError, IndexError)):
        parse_index(text)


def test_a_killed_update_leaves_a_whole_index(log: Path, state: Path) -> None:
    write(log, *(line(each, path=f"/v2/a/manifests/v{each}") for each in range(2000)))
    update_folder(str(state), str(log))
    for number in range(15):
        write(log, *(line(3000 + number, user=f"u{number}") for _ in range(2000)))
        process = subprocess.Popen(
            [sys.executable, "-I", "-c",
             "import sys; sys.path.insert(0, sys.argv[1]); import activity;"
             "print(flush=True); activity.update_folder(*sys.argv[2:])",
             str(Path(activity.__file__).parent), str(state), str(log)],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.004 * number)
        process.kill()
        process.wait()
        process.stdout.close()
        index = load(str(state))
        assert since(index) == 0
        assert len(index.images) == 2001
    update_folder(str(state), str(log))
    index = load(str(state))
    assert index.users["u14"] == [T0 + 3014, 0]
    totals = [*index.hours.values(), *index.minutes.values()]
    assert sum(total[0] for total in totals) == 2000 * 16


def _update_many(state: str, log: str, times: int) -> None:
    for _ in range(times):
        update_folder(state, log)


def test_updates_at_the_same_time_wait_for_each_other(log: Path, state: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=_update_many, args=(str(state), str(log), 20)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for number in range(500):
        write(log, line(number))
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    update_folder(str(state), str(log))
    totals = [*load(str(state)).hours.values(), *load(str(state)).minutes.values()]
    assert sum(total[0] for total in totals) == 500


def test_a_full_disk_may_have_cost_lines(
    log: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(log, line(0))
    update_folder(str(state), str(log))
    assert since(load(str(state))) == 0
    monkeypatch.setattr(activity, "_FULL_DISK", 1 << 60)
    write(log, line(1))

    def no_space(index: Index, folder: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(activity, "save", no_space)
        with pytest.raises(OSError, match="No space"):
            update_folder(str(state), str(log))
    monkeypatch.setattr(activity, "_FULL_DISK", 0)
    update_folder(str(state), str(log))
    assert load(str(state)).covers_since >= time.time() - 60


def test_what_servers_run_needs_no_more_than_their_python(log: Path) -> None:
    """Python 3.9 is the oldest of the supported systems; python3-minimal has few modules."""
    source = Path(activity.__file__).read_text()
    compile(source, "activity.py", "exec", flags=0, dont_inherit=True)
    import ast

    ast.parse(source, feature_version=(3, 9))
    imported = {
        name.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import)
        for name in node.names
    }
    minimal = {"calendar", "errno", "fcntl", "hashlib", "os", "re", "stat", "sys", "time", "zlib"}
    assert imported <= minimal
    assert LOOK == 2


@pytest.mark.parametrize(
    "absurd",
    [
        f"minute\t{'9' * 400}\t1\t1\t1\t1\t1",
        f"hour\t1\t1\t1\t{'9' * 4000}\t1\t1",
        f"failed\t1\t-404\t{'9' * 40}",
        f"event\t{'9' * 30}\tpush\tana\tapp\tv1",
        f"user\tana\t{'9' * 30}\t0",
        f"repository\tapp\nimage\tv1\t{'9' * 30}\t0\t0\t0\t0\t0",
        "covers_since\t-5",
    ],
)
def test_numbers_that_cannot_be_counted_with_are_no_index(absurd: str) -> None:
    with pytest.raises(ValueError, match="absurd"):
        parse_index(f"moorage-activity\t1\n{absurd}\nend\n")


def test_failed_requests_are_counted_by_hour_and_status_for_two_days(tmp_path: Path) -> None:
    hour = T0 // 3600
    lines = [
        line(0, status=404),
        line(1, status=404),
        line(2, status=502),
        line(3, status=404, method="HEAD"),  # the beginning of a push
        line(4, status=401, user="-"),  # before a client sends its password
        line(5, status=200),
    ]
    index = index_of(*lines)
    assert index.failed == {(hour, 404): 2, (hour, 502): 1}
    assert parse_index("".join(f"{each}\n" for each in index.write())).failed == index.failed
    log = tmp_path / "moorage.log"
    log.write_text("".join(f"{each}\n" for each in [*lines, line(50 * 3600, status=403)]))
    whole = Index()
    update(whole, str(log), now=T0 + 51 * 3600)
    assert whole.failed == {(hour + 50, 403): 1}
