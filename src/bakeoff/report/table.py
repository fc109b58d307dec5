"""Plain text: cells that cannot disturb a terminal, and tables of them.

Own code and no library: `rich` would make Lightning pick its own progress bar as soon as it is installed, and
`tabulate` turns text that looks like a number into one ("1e3" is the name of a choice, not 1000).
"""

import unicodedata
from collections.abc import Sequence

ELLIPSIS = "…"


def visible(text: str) -> str:
    """Escape what a terminal would act on or hide: control characters, line ends, bidirectional marks."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shorten(text: str, width: int) -> str:
    """Cut the middle out of a text over `width` characters: `my.losses.A` and `.B` differ at the end."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return text[:head] + ELLIPSIS + text[len(text) - (width - 1 - head) :]


def cells_wide(text: str) -> int:
    """Columns that a terminal gives to `text`: 2 for a wide East Asian character, 0 for a combining mark."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def number_format(value: float) -> str:
    """One for every row, so that decimal points line up, unless 4 decimals would say nothing."""
    return ".4f" if value == 0 or 1e-3 <= abs(value) < 1e5 else ".3e"


def text_table(rows: Sequence[Sequence[str]], *, right: Sequence[bool]) -> str:
    """Lay out `rows`, the first of them a header with a rule below; `right[i]` aligns column i right."""
    widths = [max(map(cells_wide, column)) for column in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padding = [" " * (width - cells_wide(cell)) for cell, width in zip(cells, widths, strict=True)]
        return "  ".join(
            pad + cell if is_right else cell + pad for cell, pad, is_right in zip(cells, padding, right, strict=True)
        ).rstrip()

    header, *body = map(line, rows)
    return "\n".join([header, "─" * (sum(widths) + 2 * (len(widths) - 1)), *body])
