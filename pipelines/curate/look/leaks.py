"""The group `leaks`: what pairs share with leak indices, by the perceptual hash, the bytes and the caption."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data_filters import pdq
from data_filters.perceptual_hash import METHOD
from pipelines.curate.look.perceptual import PdqScores
from pipelines.leaks.index import LeakIndex

LEAK_SCHEMA = pa.schema(
    [
        (
            "leak_distance",
            pa.int16(),
        ),  # bits to the nearest picture; leakage.FAR (32) where none lies within 31
        ("leak_entry", pa.int32()),  # row of the indices, numbered on from file to file; -1: none
        ("leak_bytes", pa.bool_()),
        ("leak_caption", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class LeakScores:
    """What pairs share with the rows of leak indices; an index is loaded once in a process, at the first `derive`.

    Computed from the hash that is stored, so that with another index no image is decoded again.
    """

    index: tuple[str, ...]
    name: str = "leaks"
    version: int = 1

    def schema(self) -> pa.Schema:
        """The columns."""
        return LEAK_SCHEMA

    def settings(self) -> Mapping[str, object]:
        """The sha256 of each index, in their order, since rows are numbered on. Raises InputError as `load` does."""
        return {"hash": METHOD, "index": list(load_once(self.index).sha256)}

    def sources(self) -> Sequence[PdqScores]:
        """The look group whose columns it reads."""
        return (PdqScores(),)

    def reads(self) -> Sequence[str]:
        """The columns that it is computed from."""
        return ("pdq", "image_hash", "caption_key")

    def derive(self, table: pa.Table) -> pa.RecordBatch:
        """Look up the columns `pdq`, `image_hash` and `caption_key` of pairs; without `pdq` the distance is null."""
        joined = b"".join(each or bytes(pdq.BYTES) for each in table["pdq"].to_pylist())
        hashes = np.frombuffer(joined, np.uint8).reshape(-1, pdq.BYTES)
        unknown = table["pdq"].is_null().to_numpy(zero_copy_only=False)
        found = load_once(self.index).match(
            hashes, table["image_hash"].to_pylist(), table["caption_key"].to_pylist()
        )
        return pa.record_batch(
            [
                pa.array(found.distance, mask=unknown),
                *(pa.array(each) for each in (found.entry, found.bytes, found.caption)),
            ],
            schema=LEAK_SCHEMA,
        )


@functools.lru_cache(maxsize=2)
def load_once(index: tuple[str, ...]) -> LeakIndex:
    """The rows of these indices, kept in this process."""
    return LeakIndex.load(*index)
