"""Cells that cannot disturb a terminal, and tables that line up."""

from hypothesis import given
from hypothesis import strategies as st

from bakeoff.report.table import Column, shorten, text_table, visible


def test_visible_keeps_what_a_reader_can_read():
    assert visible("Größe 損失 <b>'\"&") == "Größe 損失 <b>'\"&"
    assert visible("a\x00\x7f\x9b\u2028\udc80\r") == r"a\x00\x7f\x9b\u2028\udc80\r"


@given(st.text(), st.integers(1, 30))
def test_shorten_keeps_both_ends_within_the_width(text, width):
    cut = shorten(text, width)
    assert len(cut) == min(len(text), width)
    if cut != text:
        head, tail = cut.split("…", 1) if "…" not in text else ("", "")
        assert text.startswith(head)
        assert text.endswith(tail)


def test_columns_line_up_under_wide_and_combining_characters():
    columns = [Column("name", lambda row: row[0]), Column("n", lambda row: row[1], "right")]
    rows = [("損失", "1"), ("e\u0301", "22"), ("plain", "333")]
    assert text_table(columns, rows).splitlines() == [
        "name     n",
        "──────────",
        "損失     1",
        "e\u0301       22",
        "plain  333",
    ]


def test_text_that_looks_like_a_number_stays_text():
    columns = [Column("a", str), Column("b", str, "right")]
    for text in ("1e3", "0x10", "1_000", "007", "nan", "42992e1", "-0.10"):
        assert text_table(columns, [text]).splitlines()[2].split() == [text, text]


def test_a_table_without_rows_has_its_titles():
    assert text_table([Column("name", str), Column("n", str, "right")], []).splitlines() == ["name  n", "───────"]


def test_no_line_ends_in_spaces():
    text = text_table([Column("a", str), Column("error", lambda row: "")], ["x", "yy"])
    assert text.splitlines() == ["a   error", "─────────", "x", "yy"]
