"""The parts that repeat on pages, for pages that are put together in Python; templates import the same macros.

A text is escaped, Markup stays as it is; every part is empty where it has nothing to show.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from markupsafe import Markup

from pipelines.common.html.environment import part

_PARTS = "parts.html"


def heading(text: str, level: int = 3) -> Markup:
    """A heading inside a section; level 3 or 4."""
    return part(_PARTS, "heading", text, level)


def quiet(text: str) -> Markup:
    """A remark in the quiet colour, such as one under a heading."""
    return part(_PARTS, "quiet", text)


def preformatted(text: str) -> Markup:
    """A text with its line breaks and indents, such as JSON."""
    return part(_PARTS, "preformatted", text)


def cards(entries: Sequence[tuple[str, str, str]]) -> Markup:
    """Headline numbers: (value, name, remark) each."""
    return part(_PARTS, "cards", entries)


def folded(summary: str, content: Markup) -> Markup:
    """Content that opens when its summary is clicked."""
    return part(_PARTS, "folded", summary, content)


def bar(amount: float, whole: float, kind: str) -> Markup:
    """A horizontal bar for `amount` of `whole`; `kind` is "good", "bad" or "plain"."""
    return part(_PARTS, "bar", amount, whole, kind)


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers_from: int = 1,
    groups: Sequence[tuple[str, int]] = (),
    marked: Collection[tuple[int, int]] = (),
    words: Collection[int] = (),
    hints: Mapping[int, str] | None = None,
    total: bool = False,
) -> Markup:
    """A table that scrolls where it is wider than the page.

    Args:
        head: the headings of the columns; none for a table without a head.
        rows: the cells of each row: texts, or Markup such as a `bar`.
        numbers_from: the first of the columns that hold numbers, which are aligned right.
        groups: (name, number of columns) above the head, from the left.
        marked: (row, column) of cells that stand out.
        words: columns from `numbers_from` on that hold no numbers.
        hints: column → what its heading means, shown when the pointer rests on it.
        total: whether the last row is the sum of those above it.
    """
    options = {"numbers_from": numbers_from, "groups": groups, "marked": marked, "words": words}
    return part(_PARTS, "table", head, rows, **options, hints=hints or {}, total=total)
