"""The samples of a curated shard: members as they came, and the metadata with the record of curation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from data_filters.sample import (
    METADATA_EXTENSION,
    dump_metadata,
    metadata_member,
    parse_metadata,
    sample_from_members,
)
from pipelines.curate.decide import Decision
from pipelines.curate.scores.facts import members_at
from pipelines.curate.scores.storage import Scores
from pipelines.phrases.config import PhrasesConfig, parser
from pipelines.shards.batches import held_in_memory, read_samples
from pipelines.shards.reader import read_index, read_members
from pipelines.shards.record import (
    LOUPE,
    Hashes,
    ImageFacts,
    LoupeRecord,
    Phrase,
    Source,
    carried_on,
    phrases_at,
    read_phrases,
)
from pipelines.shards.stored import Content

MOST_NAMES = 1000  # different licences or domains of a shard that are counted by name
OTHER = "(other)"


@dataclass(frozen=True)
class Part:
    """What a raw shard gives to a curated one."""

    scores: Scores
    decision: Decision

    @property
    def name(self) -> str:
        """The raw shard's name."""
        return self.scores.unit.name


@dataclass
class Written:
    """What is learned while samples are written: their keys by (raw shard, key), and counts for `dataset.json`."""

    renamed: dict[tuple[str, str], str] = field(default_factory=dict)
    licences: Counter[str] = field(default_factory=Counter)
    domains: Counter[str] = field(default_factory=Counter)


class Phrases:
    """Finds the phrases of captions, each distinct caption of a curated shard once; those of `known` are not parsed."""

    def __init__(
        self, config: PhrasesConfig | None, known: Mapping[bytes, tuple[Phrase, ...]] | None = None
    ) -> None:
        self.config = config
        self._known = dict(known or {})

    def of(self, hashes: list[bytes], captions: list[str]) -> list[tuple[Phrase, ...]]:
        """The phrases of each caption, by the hash of its bytes."""
        if self.config is None:
            return [()] * len(captions)
        new = {one: text for one, text in zip(hashes, captions, strict=True) if one not in self._known}
        if new:
            spans = parser(self.config)(list(new.values()))
            for (one, caption), of_caption in zip(new.items(), spans, strict=True):
                self._known[one] = phrases_at(caption, of_caption)
        return [self._known[one] for one in hashes]


def phrases_in(tar: str) -> dict[bytes, tuple[Phrase, ...]]:
    """The phrases of a curated shard by the hash of their caption, for writing it again with the same parser."""
    members = [member for member in read_index(tar) if member.extension.lower() == METADATA_EXTENSION]
    known: dict[bytes, tuple[Phrase, ...]] = {}
    for data in read_members(tar, members):
        metadata = parse_metadata(data)
        record = metadata.get(LOUPE)
        hashes = record.get("hashes") if isinstance(record, Mapping) else None
        if isinstance(hashes, Mapping) and isinstance(hashes.get("caption"), str):
            known[bytes.fromhex(hashes["caption"])] = read_phrases(metadata)
    return known


def kept_samples(
    parts: list[Part], phrases: Phrases, written: Written
) -> Iterator[tuple[str, dict[str, Content]]]:
    """The kept samples of some raw shards: shard by shard, by key; a batch is held at a time.

    A key that an earlier shard has taken gets the name of its own shard behind it.
    """
    taken: set[str] = set()
    for part in parts:
        for key, contents in _of_part(part, phrases, written):
            new = key
            if key in taken:
                new = _free(f"{key}_{part.name.replace('.', '_')}", taken)
                written.renamed[part.name, key] = new
            taken.add(new)
            yield new, contents


def _free(key: str, taken: set[str]) -> str:
    while key in taken:
        key += "_"
    return key


def _of_part(part: Part, phrases: Phrases, written: Written) -> Iterator[tuple[str, dict[str, Content]]]:
    unit, rows = part.scores.unit, part.decision.kept
    names = ["key", "width", "height", "format", "image_hash", "caption_hash"]
    kept = part.scores.facts.select(names).take(pa.array(rows))
    order = sorted(range(len(rows)), key=kept.column("key").to_pylist().__getitem__)
    members = members_at(part.scores.facts, rows[order])
    columns = kept.take(pa.array(order, pa.int64())).to_pydict()
    left = iter(zip(*(columns[name] for name in names), members, strict=True))
    for contents in read_samples(unit.uri, members):
        batch = list(islice(left, len(contents)))
        held = [held_in_memory(parts) for parts in contents]
        captions = [
            sample_from_members(key, parts).caption or "" if phrases.config is not None else ""
            for (key, *_), parts in zip(batch, held, strict=True)
        ]
        found = phrases.of([row[5] for row in batch], captions)
        for row, of_sample, in_memory, of_caption in zip(batch, contents, held, found, strict=True):
            key, width, height, format, image_hash, caption_hash, places = row
            record = LoupeRecord(
                source=Source(unit.shard, min(member.offset for member in places)),
                image=ImageFacts(width, height, format),
                hashes=Hashes(caption=caption_hash.hex(), image=image_hash.hex()),
                phrases=of_caption,
            )
            metadata = _metadata_with(record, in_memory, written, keep_phrases=phrases.config is None)
            yield key, {**of_sample, **metadata}


def _metadata_with(
    record: LoupeRecord, contents: dict[str, bytes], written: Written, *, keep_phrases: bool
) -> dict[str, bytes]:
    """The metadata member with the record in its JSON, which is made where there is none.

    Of a sample that was curated before, source and scores are carried on, and phrases with `keep_phrases`.
    """
    name = metadata_member(contents) or METADATA_EXTENSION
    metadata = parse_metadata(contents[name]) if name in contents else {}
    _count(metadata, written)
    metadata[LOUPE] = carried_on(record, metadata, keep_phrases=keep_phrases).as_json()
    return {name: dump_metadata(metadata)}


# Any: the metadata's keys are the data set's own.
def _count(metadata: Mapping[str, Any], written: Written) -> None:
    """Count the licence and the domain that the metadata name."""
    licence, url = metadata.get("license", metadata.get("licence")), metadata.get("url")
    for value, counter in ((licence, written.licences), (_host(url), written.domains)):
        if isinstance(value, str) and value:
            counter[value if value in counter or len(counter) < MOST_NAMES else OTHER] += 1


def _host(url: object) -> str | None:
    try:
        return urlsplit(url).hostname if isinstance(url, str) else None
    except ValueError:
        return None
