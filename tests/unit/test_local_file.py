"""Reading files on the operator's machine."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from odd_files import FAULTS, odd_paths

from moorage import local_file
from moorage.local_file import (
    LocalFileError,
    check_file,
    expand,
    open_file,
    read_file,
    read_start,
    read_text,
)

NOBODY = 65534


def _open(name: str) -> None:
    with open_file(name):
        pass


READERS: dict[str, Callable[[str], object]] = {
    "read_file": read_file,
    "read_text": read_text,
    "open_file": _open,
    "check_file": check_file,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", FAULTS)
def test_every_reader_says_what_is_wrong(tmp_path: Path, reader: str, kind: str) -> None:
    name = odd_paths(tmp_path)[kind]
    began = time.monotonic()

    with pytest.raises(LocalFileError) as caught:
        READERS[reader](name)

    assert FAULTS[kind] in caught.value.message
    assert time.monotonic() - began < 5
    assert str(caught.value).isprintable() or kind == "not UTF-8"
    assert caught.value.problem(("hooks", 0, "script")).message == caught.value.clause
    assert not caught.value.clause.endswith(".")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a/b/c", "{} has no a."),
        ("folder/b", "{}/folder has no b."),
        ("plain/b", "{}/plain is not a directory."),
        ("broken", "It is a symbolic link to nowhere."),
        ("folder", "Use a file in it."),
        ("pipe", "Save its content in a file, because Moorage reads it repeatedly."),
        ("~no-such-account/x", "Write the whole path."),
    ],
)
def test_the_advice_says_where_a_path_goes_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, advice: str
) -> None:
    odd_paths(tmp_path)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(LocalFileError) as caught:
        read_file(name)

    assert caught.value.advice == advice.format(tmp_path)


def _message_for_another_account(name: str, answer: multiprocessing.SimpleQueue[str]) -> None:
    os.setresuid(NOBODY, NOBODY, NOBODY)
    try:
        read_file(name, "key")
    except LocalFileError as error:
        answer.put(str(error))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
@pytest.mark.parametrize(
    ("folder_mode", "advice"),
    [
        (0o755, "Make it readable for nobody."),
        (0o700, "One of its folders does not let nobody in."),
    ],
)
def test_a_refused_file_names_the_account(folder_mode: int, advice: str) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(folder_mode)
        file = Path(folder) / "key"
        file.write_bytes(b"secret")
        file.chmod(0o600)
        answer: multiprocessing.SimpleQueue[str] = multiprocessing.SimpleQueue()
        child = multiprocessing.get_context("fork").Process(
            target=_message_for_another_account, args=(str(file), answer)
        )
        child.start()
        child.join(60)

        assert answer.get() == f"The key {file} cannot be read: permission denied. {advice}"


def test_the_home_folder_replaces_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a").write_bytes(b"content")

    assert expand("~/a") == tmp_path / "a"
    assert read_file("~/a") == b"content"
    assert expand("~root/a") == Path("/root/a")


def test_size_limits_hold(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * (2 * local_file.MEBIBYTE))

    assert len(read_file(file, largest=2 * local_file.MEBIBYTE)) == 2 * local_file.MEBIBYTE
    assert read_start(file, size=3) == b"xxx"
    with pytest.raises(LocalFileError, match="is larger than 1 MiB") as caught:
        read_file(file)
    assert caught.value.code == "file_too_large"


def test_a_large_sparse_file_is_not_read_into_memory(tmp_path: Path) -> None:
    file = tmp_path / "sparse"
    with file.open("wb") as stream:
        stream.truncate(1 << 40)

    with pytest.raises(LocalFileError, match="is larger than 1 MiB"):
        read_file(file)


def test_the_null_device_is_an_empty_file() -> None:
    assert read_file("/dev/null") == b""


def test_text_must_be_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\xef\xbb\xbfgood\n")
    assert read_text(file) == "good\n"

    file.write_bytes(b"good\nb\xe4d\n")
    with pytest.raises(LocalFileError, match="is not UTF-8 in line 2"):
        read_text(file)


def test_a_pipe_is_read_where_pipes_are_allowed(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write_late() -> None:
        time.sleep(0.1)
        with pipe.open("wb") as stream:
            stream.write(b"one\n")
            stream.flush()
            time.sleep(0.1)
            stream.write(b"two\n")

    writer = threading.Thread(target=write_late)
    writer.start()
    check_file(pipe, pipes=True)  # takes nothing out of it

    assert read_file(pipe, pipes=True) == b"one\ntwo\n"
    writer.join()


@pytest.mark.parametrize("is_open", [True, False])
def test_a_pipe_that_nothing_is_written_to_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_open: bool
) -> None:
    monkeypatch.setattr(local_file, "PIPE_TIMEOUT", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR) if is_open else None

    with pytest.raises(LocalFileError, match="no program finished writing to within"):
        read_file(pipe, pipes=True)

    if writer is not None:
        os.close(writer)


def test_an_endless_pipe_is_read_to_the_limit(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb", buffering=0) as stream:
            try:
                while True:
                    stream.write(b"x" * 65536)
            except BrokenPipeError:
                pass

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(LocalFileError, match="is larger than 1 MiB"):
        read_file(pipe, pipes=True)
    writer.join(60)
    assert not writer.is_alive()


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    paths = odd_paths(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))

    for name in paths.values():
        for read in READERS.values():
            with pytest.raises(LocalFileError):
                read(name)
    read_file(tmp_path / "plain")

    assert len(list(Path("/proc/self/fd").iterdir())) == before
