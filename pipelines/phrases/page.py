"""Captions with their phrases marked, as one HTML page to look at: no script, no file beside it."""

import html
import itertools
from collections.abc import Iterable, Sequence

from data_filters.sample import sample_from_members
from pipelines.common.files import join, write_text
from pipelines.shards.manifest import committed_shards
from pipelines.shards.reader import iterate

Span = tuple[int, int]
PHRASES_PAGE = "phrases.html"
SHOWN = 200  # captions on the page of a curation

_STYLE = """
body { font: 15px/1.7 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
li { margin: .35rem 0 }
mark { background: #fff0b3; border-radius: 3px; padding: 1px 2px; box-shadow: inset 0 0 0 1px #e0b000 }
mark mark { background: #bfe3ff; box-shadow: inset 0 0 0 1px #4a90c2 }
mark mark mark { background: #c9f0c9; box-shadow: inset 0 0 0 1px #4aa04a }
.none { color: #a33 }
"""


def phrases_page(captions: Sequence[str], found: Iterable[Sequence[Span]], title: str = "Phrases") -> str:
    """HTML of captions with their phrases marked, a phrase inside another in another colour.

    `found`: for each caption the character spans that an extractor gave. A caption without phrases is set in red.
    """
    items, total, empty = [], 0, 0
    for caption, spans in zip(captions, found, strict=True):
        total, empty = total + len(spans), empty + (not spans)
        items.append(f"<li{'' if spans else ' class=none'}>{mark(caption, spans)}</li>")
    summary = f"{len(items)} captions, {total} phrases, {empty} captions without any."
    return (
        f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{html.escape(title)}</h1><p>{summary} Yellow: a phrase; blue and green: phrases inside it.</p>"
        f"<ol>{''.join(items)}</ol>\n"
    )


def mark(caption: str, spans: Sequence[Span]) -> str:
    """The caption, escaped, each span in a `<mark>`. Spans that cross are cut where the earlier one ends."""
    pieces: list[str] = []
    open_ends: list[int] = []
    at = 0

    def write_to(position: int) -> None:
        nonlocal at
        pieces.append(html.escape(caption[at:position]))
        at = max(at, position)

    for start, end in sorted(set(spans), key=lambda span: (span[0], -span[1])):
        while open_ends and open_ends[-1] <= start:
            write_to(open_ends.pop())
            pieces.append("</mark>")
        write_to(start)
        pieces.append("<mark>")
        open_ends.append(min([end, *open_ends[-1:]]))
    while open_ends:
        write_to(open_ends.pop())
        pieces.append("</mark>")
    write_to(len(caption))
    return "".join(pieces)


def write_phrases_page(output: str, count: int = SHOWN) -> str | None:
    """OUTPUT/phrases.html with the first captions of every committed shard, `count` in all; None without any.

    The phrases shown are those in the shards, not found anew.
    """
    shards = committed_shards(output)
    captions: list[str] = []
    found: list[list[Span]] = []
    for number, shard in enumerate(shards):
        due = count * (number + 1) // len(shards) - len(captions)
        for key, members in itertools.islice(iterate(shard.uri), max(due, 0)):
            sample = sample_from_members(key, members)
            records = ((sample.metadata or {}).get("loupe") or {}).get("phrases") or []
            captions.append(sample.caption or "")
            found.append([(record["start"], record["end"]) for record in records])
    if not captions:
        return None
    page = phrases_page(captions, found, title=f"Phrases of {len(captions)} captions")
    write_text(join(output, PHRASES_PAGE), page, errors="replace")
    return join(output, PHRASES_PAGE)
