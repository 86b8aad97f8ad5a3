"""Puts the phrases of a caption into its sample: `loupe.phrases` = [{text, start, end}]. No ray."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from data_filters.phrases import PhraseExtractor
from data_filters.sample import Sample

LOUPE = "loupe"
BATCH = 512  # samples held at a time, with their images


def annotate(samples: Iterable[Sample], extractor: PhraseExtractor, batch: int = BATCH) -> Iterator[Sample]:
    """The same samples in the same order, each with `loupe.phrases` in its metadata; nothing else changes.

    A sample without a caption gets an empty list. `batch`: samples taken from the iterable at a time.
    """
    waiting = iter(samples)
    while group := list(islice(waiting, batch)):
        captions = [sample.caption or "" for sample in group]
        for sample, caption, spans in zip(group, captions, extractor(captions), strict=True):
            metadata = dict(sample.metadata or {})
            metadata[LOUPE] = {**_loupe(metadata), "phrases": phrase_records(caption, spans)}
            yield replace(sample, metadata=metadata)


def phrase_records(caption: str, spans: Iterable[tuple[int, int]]) -> list[dict[str, Any]]:
    """Spans as a curated shard holds them; start and end are characters of the caption, half open."""
    return [{"text": caption[start:end], "start": start, "end": end} for start, end in spans]


def _loupe(metadata: dict[str, Any]) -> dict[str, Any]:
    found = metadata.get(LOUPE)
    return found if isinstance(found, dict) else {}
