"""Corpora of captions for tests: drawn at random from few words, and measured by a score group."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pyarrow as pa

from data_filters.facts import Facts
from data_filters.image import ImageHeader
from pipelines.curate.scores.group import Group

HEADER = ImageHeader(224, 224, "jpeg")


def drawn_captions(number: int, shards: int, words: int, earlier: bool = False) -> dict[str, list[str]]:
    """Captions by shard, the second of them empty; the k-th word is drawn with a weight of 1/k."""
    draw = random.Random(f"{number} {earlier}")
    vocabulary = [f"word{index}" for index in range(words)]
    weights = [1 / (index + 1) for index in range(words)]
    made: dict[str, list[str]] = {}
    for shard in range(shards):
        size = 0 if shard == 1 else draw.randrange(1, 40)
        captions = [", ".join(draw.choices(vocabulary, weights, k=draw.randrange(0, 7))) for _ in range(size)]
        made[f"{'old' if earlier else 'new'}-{shard:05d}"] = captions
    return made


def measured(captions: Sequence[str], group: Group, batch: int = 7) -> pa.Table:
    """The scores that a group computes for captions, in batches, and the column `key`."""
    facts = [Facts(HEADER, caption) for caption in captions]
    batches = [group.measure(facts[start : start + batch]) for start in range(0, len(facts), batch)]
    table = pa.Table.from_batches(batches, schema=group.schema())
    return table.append_column(
        "key", pa.array([f"{place:06d}" for place in range(len(captions))], pa.string())
    )
