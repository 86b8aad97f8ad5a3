"""Puts the phrases of a caption into its sample: `loupe.phrases` = [{text, start, end}]. No ray."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from data_filters.phrases import PhraseExtractor
from data_filters.sample import Sample
from pipelines.shards.record import phrases_at, with_phrases

BATCH = 512  # samples held at a time, with their images


def annotate(samples: Iterable[Sample], extractor: PhraseExtractor, batch: int = BATCH) -> Iterator[Sample]:
    """Yield the same samples in the same order, each with `loupe.phrases` in its metadata; nothing else changes.

    A sample without a caption gets an empty list. `batch`: samples taken from the iterable at a time.
    """
    waiting = iter(samples)
    while group := list(islice(waiting, batch)):
        captions = [sample.caption or "" for sample in group]
        for sample, caption, spans in zip(group, captions, extractor(captions), strict=True):
            yield replace(sample, metadata=with_phrases(sample.metadata, phrases_at(caption, spans)))
