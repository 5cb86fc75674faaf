"""Differences for people."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.content import Content

from tui.syntax import highlight, kind_of
from tui.widgets.diff import Fold, Line, changes, compare, fold, side_by_side
from tui.widgets.diff_view import wrapped

TEXTS = st.lists(st.sampled_from(["a = 1", "a = 2", "b", "", "server {", "}"]), max_size=30)


@given(TEXTS, TEXTS)
def test_the_diff_contains_both_texts(old: list[str], new: list[str]) -> None:
    lines = compare("\n".join(old), "\n".join(new))
    before = [line.text for line in lines if line.kind != "add"]
    after = [line.text for line in lines if line.kind != "remove"]
    assert before == "\n".join(old).splitlines()
    assert after == "\n".join(new).splitlines()
    numbers = [line.after for line in lines if line.after is not None]
    assert numbers == list(range(1, len(after) + 1))


@given(st.text(alphabet="ab 界/=", max_size=120), st.integers(8, 30))
def test_pieces_of_a_long_line_fit_and_are_the_line(text: str, width: int) -> None:
    pieces = [each.plain for each in wrapped(Content(text), width)]
    assert "".join(pieces) == text
    assert all(cell_len(each) <= width for each in pieces)


def test_a_long_line_breaks_between_words_or_in_a_path() -> None:
    def pieces(text: str) -> list[str]:
        return [each.plain for each in wrapped(Content(text), 24)]

    assert pieces("    # what has changed is a drift") == ["    # what has changed ", "is a drift"]
    assert pieces("/etc/moorage/registry/registry.env") == [
        "/etc/moorage/registry/", "registry.env",
    ]  # fmt: skip
    assert pieces("x" * 30) == ["x" * 24, "x" * 6]


@given(TEXTS, TEXTS)
def test_folding_hides_equal_lines_only(old: list[str], new: list[str]) -> None:
    lines = compare("\n".join(old), "\n".join(new))
    rows = fold(lines)
    shown = [row for row in rows if isinstance(row, Line)]
    hidden = sum(row.count for row in rows if isinstance(row, Fold))
    assert len(shown) + hidden == len(lines)
    changed = [line for line in lines if line.kind != "same"]
    assert [row for row in shown if row.kind != "same"] == changed


@given(TEXTS, TEXTS)
def test_side_by_side_keeps_every_line(old: list[str], new: list[str]) -> None:
    pairs = side_by_side(compare("\n".join(old), "\n".join(new)))
    left = [half.text for half, _ in pairs if isinstance(half, Line)]
    right = [half.text for _, half in pairs if isinstance(half, Line)]
    assert left == "\n".join(old).splitlines()
    assert right == "\n".join(new).splitlines()


def test_the_changed_part_of_a_line_is_marked() -> None:
    gone, come = compare("  level: info  # loud", "  level: debug  # loud")
    assert [gone.text[begin:end] for begin, end in gone.words] == ["info"]
    assert [come.text[begin:end] for begin, end in come.words] == ["debug"]


def test_lines_without_common_text_are_not_compared_word_by_word() -> None:
    gone, come = compare("server {", "proxy_pass http://127.0.0.1:5101;")
    assert gone.words == come.words == ()


def test_distant_equal_lines_are_folded_and_changes_are_found() -> None:
    old = [f"line {number}" for number in range(40)]
    new = [*old[:20], "other", *old[21:]]
    rows = fold(compare("\n".join(old), "\n".join(new)))
    assert isinstance(rows[0], Fold)
    assert rows[0].count == 17
    assert rows[-1] == Fold(16)
    assert changes(rows) == [4]


def test_languages_are_detected_by_file_name() -> None:
    assert kind_of("/etc/nginx/conf.d/moorage.conf") == "nginx"
    assert kind_of("/etc/moorage/registry/blue/config.yml") == "yaml"
    assert kind_of("/etc/systemd/system/moorage-registry@.service") == "ini"
    assert kind_of("/etc/nginx/moorage/htpasswd") == ""


@given(st.text(max_size=300))
def test_any_text_can_be_coloured_as_any_file(text: str) -> None:
    for path in ("/a.yml", "/etc/nginx/a.conf", "/a.service", "/a.js", "/a.env", "/a"):
        lines = text.splitlines()
        styles = highlight(path, text)
        assert len(styles) == len(lines)
