"""The phrases that curation wrote beside a caption."""

from __future__ import annotations

from data_filters.sample import Sample
from pipelines.shards.record import read_phrases
from pretrain.data.samples.batch import Span


def phrase_spans(sample: Sample) -> list[Span]:
    """Character spans of the caption's phrases, `loupe.phrases` of the sample's JSON; empty where there are none.

    Raises ValueError when they do not belong to this caption: a span outside it, or another text at its place.
    """
    caption = sample.caption or ""
    spans = []
    for phrase in read_phrases(sample.metadata):
        start, end, text = phrase.start, phrase.end, phrase.text
        if not 0 <= start < end <= len(caption) or caption[start:end] != text:
            raise ValueError(f"phrase {text!r} is not at characters {start} to {end} of the caption")
        spans.append((start, end))
    return spans
