"""The position in a server's logs: over several connections, each line arrives once."""

from __future__ import annotations

from moorage.deploy.logs.stream import LogStream

REQUEST = "2026-11-25T15:37:{second}+00:00\tana\t200\tGET\t/v2/a\t192.0.2.7\t1\t0\tx\t-"
JOURNAL = "2026-11-25T15:37:41.{micros}+0100 registry[6]: {text}"


def _read(stream: LogStream, *lines: str) -> list[str]:
    return [row.text for row in stream.read("".join(f"{line}\n" for line in lines).encode())]


def test_positions_of_files_count_whole_lines() -> None:
    stream = LogStream("web1")
    assert stream.begin() == "-\n- -\n- -\n"
    assert not stream.has_begun
    assert _read(stream, "@") == []
    assert stream.has_begun
    line = REQUEST.format(second=10)
    assert len(_read(stream, "e@ 7 100", "r@ 8 1000", f"r{line}")) == 1
    stream.read(f"r{line[:20]}".encode())  # the connection is lost here
    assert stream.begin() == f"-\n7 100\n8 {1000 + len(line) + 1}\n"
    # The file was rotated meanwhile.
    _read(stream, f"r{line}", "r@ 9 0", f"r{line}")
    assert stream.begin() == f"-\n7 100\n9 {len(line) + 1}\n"


def test_lines_of_the_journal_at_the_same_moment_are_skipped() -> None:
    stream = LogStream("web1")
    stream.begin()
    old = "j" + JOURNAL.format(micros="000001", text="old")
    first = "j" + JOURNAL.format(micros="000002", text="first")
    second = "j" + JOURNAL.format(micros="000002", text="second")
    third = "j" + JOURNAL.format(micros="000003", text="third")
    assert len(_read(stream, old, first, "j    continued")) == 3
    for _ in range(2):
        stream.begin()  # The server cannot be reached.
        assert stream.begin().splitlines()[0] == "1795617461.000002"
        again = _read(stream, first, "j    continued")
        assert again == []
    assert [text.rpartition(" ")[2] for text in _read(stream, second, third)] == ["second", "third"]
    assert stream.begin().splitlines()[0] == "1795617461.000003"
    assert _read(stream, third) == []


def test_a_gap_is_noted_and_other_marks_are_ignored() -> None:
    stream = LogStream("web1")
    stream.begin()
    assert _read(stream, "r@ gap") == []
    assert stream.has_gap
    stream.begin()
    assert not stream.has_gap
