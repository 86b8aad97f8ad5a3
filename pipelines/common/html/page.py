"""The page that reports are made of: its frame, and the few shapes that repeat."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pipelines.common.html.style import STYLE


def page(title: str, subtitle: str, lead: str, sections: Sequence[tuple[str, str]]) -> str:
    """A whole HTML document that needs nothing beside it; light and dark, wide and narrow.

    `sections`: (heading, HTML) in their order; one without content is left out, heading and all.
    """
    there = [(heading, body) for heading, body in sections if body]
    links = "".join(f'<a href="#{_anchor(heading)}">{html.escape(heading)}</a>' for heading, _ in there)
    nav = f"<nav>{links}</nav>" if len(there) > 1 else ""
    body = "".join(
        f'<section id="{_anchor(heading)}"><h2>{html.escape(heading)}</h2>{content}</section>'
        for heading, content in there
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f'<h1>{html.escape(title)}</h1><p class="quiet">{html.escape(subtitle)}</p>'
        f"{lead}{nav}{body}</main></body></html>\n"
    )


def cards(entries: Sequence[tuple[str, str, str]]) -> str:
    """Headline numbers: (value, name, remark) each."""
    inner = "".join(
        f'<div class="card"><b>{html.escape(value)}</b><span>{html.escape(name)}</span>'
        f"<small>{html.escape(remark)}</small></div>"
        for value, name, remark in entries
    )
    return f'<div class="cards">{inner}</div>' if inner else ""


def quiet(text: str) -> str:
    """A remark under a heading."""
    return f'<p class="quiet">{html.escape(text)}</p>' if text else ""


def folded(summary: str, content: str) -> str:
    """What opens when its summary is clicked; nothing where there is no content."""
    return f"<details><summary>{html.escape(summary)}</summary>{content}</details>" if content else ""


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers_from: int = 1,
    groups: Sequence[tuple[str, int]] = (),
    marked: Collection[tuple[int, int]] = (),
    words: Collection[int] = (),
) -> str:
    """A table of plain texts that scrolls where it is wide. Columns from `numbers_from` on are set to the right.

    `groups`: (name, number of columns) above the head, from the left. `marked`: (row, column) of cells that stand out.
    `words`: columns among the numbers that hold text after all.
    """

    def cell(tag: str, text: str, row: int, column: int) -> str:
        kind = " class=number" if column >= numbers_from and column not in words else ""
        shown = html.escape(text)
        return f"<{tag}{kind}>{f'<b>{shown}</b>' if (row, column) in marked else shown}</{tag}>"

    def line(tag: str, texts: Sequence[str], row: int = -1) -> str:
        return f"<tr>{''.join(cell(tag, text, row, column) for column, text in enumerate(texts))}</tr>"

    above = "".join(
        f"<th{' class=group' if name else ''} colspan={columns}>{html.escape(name)}</th>"
        for name, columns in groups
        if columns
    )
    top = f"<tr>{above}</tr>" if above else ""
    header = f"<thead>{top}{line('th', head)}</thead>" if head else ""
    body = "".join(line("td", texts, row) for row, texts in enumerate(rows))
    return f'<div class="scroll"><table>{header}<tbody>{body}</tbody></table></div>'


def bar(part: float, whole: float, kind: str) -> str:
    """A horizontal bar for `part` of `whole`; `kind` is "good", "bad" or "plain"."""
    share = 100 * part / whole if whole else 0.0
    return f'<div class="bar"><div class="{kind}" style="width:{share:.1f}%"></div></div>'


def picture(path: Path, description: str) -> str:
    """A JPEG as an `img` that carries its own bytes; a word in its place where the file is absent."""
    if not path.is_file():
        return '<div class="none">no picture</div>'
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<img alt="{html.escape(description, quote=True)}" src="data:image/jpeg;base64,{data}">'


def figure(path: Path, description: str, caption: str, kind: str = "") -> str:
    """A picture with its caption, which is HTML."""
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure class="{kind}">{picture(path, description)}{below}</figure>'


def settings(values: dict[str, Any], prefix: str = "") -> list[list[str]]:
    """[["a.b", "value"], ...] of nested settings, in their order."""
    rows: list[list[str]] = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            rows += settings(value, f"{prefix}{name}.")
        else:
            shown = ", ".join(map(_written, value)) if value and isinstance(value, list) else _written(value)
            rows.append([f"{prefix}{name}", shown])
    return rows


def _written(value: Any) -> str:
    """As a recipe's YAML would have it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _anchor(heading: str) -> str:
    return re.sub(r"\W+", "-", heading.lower()).strip("-")
