"""Captions with their phrases marked, as one HTML page to look at."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from data_filters.sample import sample_from_members
from pipelines.common.files import join, write_text
from pipelines.common.html.environment import render
from pipelines.common.html.page import page
from pipelines.shards.manifest import committed_shards
from pipelines.shards.reader import iterate
from pipelines.shards.record import read_phrases

Span = tuple[int, int]
PHRASES_PAGE = "phrases.html"
SHOWN = 200  # captions on the page of a curation

_COLOURS = "Yellow: a phrase; blue and green: phrases inside it."


@dataclass
class Marked:
    """A stretch of a caption: texts, and the phrases among them, which hold further stretches."""

    pieces: list[str | Marked] = field(default_factory=list)


def phrases_page(captions: Sequence[str], spans: Iterable[Sequence[Span]], title: str = "Phrases") -> str:
    """HTML of captions with their phrases marked, a phrase inside another in another colour.

    `spans`: for each caption the character spans that an extractor gave. A caption without phrases is set in red.
    """
    phrases = list(spans)
    stretches = [nested(*caption) for caption in zip(captions, phrases, strict=True)]
    total, empty = sum(map(len, phrases)), sum(not of_caption for of_caption in phrases)
    summary = f"{len(stretches)} captions, {total} phrases, {empty} captions without any."
    marked = [(stretch, bool(of_caption)) for stretch, of_caption in zip(stretches, phrases, strict=True)]
    lead = render("pipelines.phrases", "captions.html", captions=marked)
    return page(title, f"{summary} {_COLOURS}", lead, [])


def nested(caption: str, spans: Sequence[Span]) -> Marked:
    """The caption as a tree of its spans. Spans that cross are cut where the earlier one ends."""
    open_marks, open_ends = [Marked()], [len(caption)]
    at = 0

    def write_to(position: int) -> None:
        nonlocal at
        if caption[at:position]:
            open_marks[-1].pieces.append(caption[at:position])
        at = max(at, position)

    def close() -> None:
        write_to(open_ends.pop())
        open_marks.pop()

    for start, end in sorted(set(spans), key=lambda span: (span[0], -span[1])):
        while len(open_marks) > 1 and open_ends[-1] <= start:
            close()
        write_to(start)
        phrase = Marked()
        open_marks[-1].pieces.append(phrase)
        open_marks.append(phrase)
        open_ends.append(min(end, open_ends[-1]))
    whole = open_marks[0]
    while open_marks:
        close()
    return whole


def write_phrases_page(output: str, count: int = SHOWN) -> str | None:
    """Write OUTPUT/phrases.html with the first captions of every committed shard, `count` in all; None without any.

    The phrases shown are those in the shards: nothing is extracted again.
    """
    shards = committed_shards(output)
    captions: list[str] = []
    spans: list[list[Span]] = []
    for number, shard in enumerate(shards):
        due = count * (number + 1) // len(shards) - len(captions)
        for key, members in itertools.islice(iterate(shard.uri), max(due, 0)):
            sample = sample_from_members(key, members)
            captions.append(sample.caption or "")
            spans.append([(phrase.start, phrase.end) for phrase in read_phrases(sample.metadata)])
    if not captions:
        return None
    content = phrases_page(captions, spans, title=f"Phrases of {len(captions)} captions")
    write_text(join(output, PHRASES_PAGE), content, errors="replace")
    return join(output, PHRASES_PAGE)
