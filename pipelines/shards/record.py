"""The object `loupe` that curation adds to a sample's KEY.json: the facts found about the pair, typed.

    {"source": {"shard", "offset"}, "image": {"width", "height", "format"}, "scores": {NAME: number},
     "phrases": [{"text", "start", "end"}], "hashes": {"caption", "image"}}

The keys are written in this order, so the same record gives the same JSON bytes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

LOUPE = "loupe"

# A sample's KEY.json, as `json.loads` gives it; apart from `loupe` its keys are the data set's own.
Metadata = Mapping[str, Any]


class RecordError(ValueError):
    """The phrases of a sample are not what curation writes; the text says what they hold."""


@dataclass(frozen=True)
class Source:
    """The first raw shard's file name, and the offset in bytes of the sample's first member there."""

    shard: str
    offset: int


@dataclass(frozen=True)
class ImageFacts:
    """Width and height in pixels as shown (EXIF orientation applied), and the format: `jpeg`, `png` or `webp`."""

    width: int
    height: int
    format: str


@dataclass(frozen=True)
class Phrase:
    """`text` stands at the characters start to end (half open) of the caption."""

    text: str
    start: int
    end: int

    def as_json(self) -> dict[str, str | int]:
        """The phrase as KEY.json holds it."""
        return {"text": self.text, "start": self.start, "end": self.end}


@dataclass(frozen=True)
class Hashes:
    """xxh3 (128 bits, hex) of the caption's UTF-8 bytes and of the image's bytes."""

    caption: str
    image: str


@dataclass(frozen=True)
class LoupeRecord:
    """Everything that curation found about one pair. `scores` are the numbers of models, by name."""

    source: Source
    image: ImageFacts
    hashes: Hashes
    scores: Mapping[str, float] = field(default_factory=dict)
    phrases: tuple[Phrase, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The record as KEY.json holds it under `loupe`."""
        return {
            "source": {"shard": self.source.shard, "offset": self.source.offset},
            "image": {"width": self.image.width, "height": self.image.height, "format": self.image.format},
            "scores": dict(self.scores),
            "phrases": [phrase.as_json() for phrase in self.phrases],
            "hashes": {"caption": self.hashes.caption, "image": self.hashes.image},
        }


def read_phrases(metadata: Metadata | None) -> tuple[Phrase, ...]:
    """Read the phrases of a sample, whatever the rest of its record holds; empty where there are none.

    Raises RecordError for a phrase without text, start and end.
    """
    record = (metadata or {}).get(LOUPE)
    listed = record.get("phrases") if isinstance(record, Mapping) else None
    if not listed:
        return ()
    if not isinstance(listed, list):
        raise RecordError(f"{LOUPE}.phrases holds {listed!r}; expected a list")
    return tuple(_phrase(phrase) for phrase in listed)


def carried_on(record: LoupeRecord, metadata: Metadata | None, *, keep_phrases: bool) -> LoupeRecord:
    """The record of a sample that was curated before, with what the earlier record in `metadata` knows.

    The source stays that of the first raw shard, scores are joined (new ones win), and with `keep_phrases` phrases
    stay where the caption's hash is the same. Whatever is not as curation writes it is passed over.
    """
    earlier = (metadata or {}).get(LOUPE)
    if not isinstance(earlier, Mapping):
        return record
    source, scores, hashes = (earlier.get(name) for name in ("source", "scores", "hashes"))
    if (
        isinstance(source, Mapping)
        and isinstance(source.get("shard"), str)
        and _is_count(source.get("offset"))
    ):
        record = replace(record, source=Source(source["shard"], source["offset"]))
    if isinstance(scores, Mapping):
        numbers = {name: value for name, value in scores.items() if isinstance(value, (int, float))}
        record = replace(record, scores={**numbers, **record.scores})
    same_caption = isinstance(hashes, Mapping) and hashes.get("caption") == record.hashes.caption
    if keep_phrases and same_caption:
        with contextlib.suppress(RecordError):
            record = replace(record, phrases=read_phrases(metadata))
    return record


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def with_phrases(metadata: Metadata | None, phrases: Iterable[Phrase]) -> dict[str, Any]:
    """A copy of the metadata with these phrases; everything else, and the order of the keys, stays."""
    record = (metadata or {}).get(LOUPE)
    kept = record if isinstance(record, Mapping) else {}
    return {**(metadata or {}), LOUPE: {**kept, "phrases": [phrase.as_json() for phrase in phrases]}}


def phrases_at(caption: str, spans: Iterable[tuple[int, int]]) -> tuple[Phrase, ...]:
    """The phrases at these character spans (start, end) of a caption."""
    return tuple(Phrase(caption[start:end], start, end) for start, end in spans)


def _phrase(listed: object) -> Phrase:
    try:
        if isinstance(listed, Mapping) and isinstance(listed["text"], str):
            return Phrase(listed["text"], int(listed["start"]), int(listed["end"]))
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise RecordError(f"{LOUPE}.phrases holds {listed!r}; expected text, start and end") from error
    raise RecordError(f"{LOUPE}.phrases holds {listed!r}; expected text, start and end")
