"""Plain text: cells that cannot disturb a terminal, and tables of them.

`tabulate` lays tables out, and `wcwidth`, which it uses where it is there, says how wide a character is. Two things it
does not do and are done here: control characters are escaped, and text that looks like a number stays as it is ("1e3"
may be the name of a choice). `rich` is no choice: Lightning picks another progress bar as soon as it is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from tabulate import SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

Row = TypeVar("Row")

ELLIPSIS = "…"
_FORMAT = TableFormat(
    lineabove=None,
    linebelowheader=Line("", "─", "──", ""),
    linebetweenrows=None,
    linebelow=None,
    headerrow=DataRow("", "  ", ""),
    datarow=DataRow("", "  ", ""),
    padding=0,
    with_header_hide=None,
)


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column of a table: its title, and the text that it shows of a row."""

    title: str
    value: Callable[[Row], str]
    align: Literal["left", "right"] = "left"


def text_table(columns: Sequence[Column[Row]], rows: Iterable[Row]) -> str:
    """A line for the titles, a rule, and a line for each row; no line ends in spaces."""
    cells = [[column.value(row) for column in columns] for row in rows]
    titles = [column.title for column in columns]
    # the titles as a row: as headers they would be two characters wider than their column
    return tabulate(
        [titles, SEPARATING_LINE, *cells],
        tablefmt=_FORMAT,
        disable_numparse=True,
        colalign=[column.align for column in columns],
    )


def visible(text: str) -> str:
    """Escapes what a terminal would act on or hide: control characters, line ends, bidirectional marks."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shorten(text: str, width: int) -> str:
    """Cuts the middle out of a text over `width` characters: `my.losses.A` and `.B` differ at the end."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return text[:head] + ELLIPSIS + text[len(text) - (width - 1 - head) :]


def number_format(value: float) -> str:
    """One for every row, so that decimal points line up, unless 4 decimals would say nothing."""
    return ".4f" if value == 0 or 1e-3 <= abs(value) < 1e5 else ".3e"
