"""A dry run on a sample of the raw shards: which ones, and what a shard of them tells of the curated one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.curate.config import CurateConfig
from pipelines.curate.kept_samples import Part, Phrases, Written, kept_samples
from pipelines.shards.tar_format import BLOCK
from pipelines.shards.unit import Unit

PILOT = 20
"""Raw shards of a pilot where nothing else is asked for."""
PROBED = 100  # kept pairs of a shard that are made as they would be written


@dataclass(frozen=True)
class PilotShard:
    """What a dry run has counted of a raw shard of `size` bytes; `bytes` are those of its part of the output."""

    size: int
    pairs: int
    kept: int
    bytes: float


def pilot_units(units: Sequence[Unit], count: int, seed: int = 0) -> list[Unit]:
    """`count` of the units, drawn without replacement with equal chances, in their order; all where they are fewer."""
    if len(units) <= count:
        return list(units)
    chosen = np.random.default_rng(seed).choice(len(units), count, replace=False)
    return [units[place] for place in sorted(chosen.tolist())]


def probe(part: Part, config: CurateConfig) -> tuple[float, float]:
    """The bytes that the kept pairs of a raw shard will take, and the seconds that making them will: an estimate.

    PROBED of them, evenly spaced, are made in memory with their phrases and hashed; nothing is written.
    """
    kept = part.decision.kept
    if not len(kept):
        return 0.0, 0.0
    chosen = kept[np.linspace(0, len(kept) - 1, min(PROBED, len(kept))).astype(np.int64)]
    bits = np.ones_like(part.decision.bits)
    bits[chosen] = 0
    few = Part(part.scores, replace(part.decision, bits=bits, drops={}))
    if config.phrases is not None:
        config.phrases.load()  # once in a worker, not for each shard
    started, size, digest = time.perf_counter(), 0, hashlib.sha256()
    for _, contents in kept_samples([few], Phrases(config.phrases), Written()):
        for content in contents.values():
            length = 0
            for piece in (content,) if isinstance(content, bytes) else content:
                digest.update(piece)
                length += len(piece)
            size += BLOCK + length + -length % BLOCK  # a header, then whole blocks
    factor = len(kept) / len(chosen)
    return size * factor, (time.perf_counter() - started) * factor
