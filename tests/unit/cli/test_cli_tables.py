"""Tables of the command line, also in a pipe, where nothing limits their width."""

from __future__ import annotations

from moorage.cli.tables import aligned


def _lines(*rows: tuple[str, ...]) -> list[str]:
    return ["".join(map(str, line)) for line in aligned(rows)]


def test_cells_are_below_each_other() -> None:
    assert _lines(("when", "by", "what"), ("today", "ana@laptop", "x"), ("now", "-", "y")) == [
        "when   by          what", "today  ana@laptop  x", "now    -           y",
    ]  # fmt: skip


def test_no_line_ends_with_spaces() -> None:
    assert _lines(("a", "title", ""), ("long name", "", ""), ("b", "x", "note")) == [
        "a          title", "long name", "b          x      note",
    ]  # fmt: skip
    assert _lines(("", "")) == [""]


def test_one_long_cell_shifts_its_own_row_only() -> None:
    reason = "failed: " + "x" * 200
    first, second, third = _lines(("done", "a"), (reason, "b"), ("locked", "c"))
    assert (first, third) == ("done    a", "locked  c")
    assert second == f"{reason}  b"


def test_names_that_are_all_long_stay_below_each_other() -> None:
    names = ["team/" + "x" * 50 + f"/{number}" * number for number in range(1, 5)]
    lines = _lines(*((name, "tag") for name in names))
    assert len({line.index("tag") for line in lines}) == 1


def test_a_cell_that_is_long_in_one_of_two_rows_does_not_widen_its_column() -> None:
    assert _lines(("done", "a"), ("x" * 300, "b"))[0] == "done  a"
