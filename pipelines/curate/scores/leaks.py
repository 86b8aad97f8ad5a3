"""Scores of the look that need no model: the perceptual hash of a picture, and what it shares with leak indices."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from data_filters import pdq
from data_filters.perceptual_hash import METHOD, SIDE, hash_thumbnails, thumbnail
from pipelines.leaks.index import LeakIndex

if TYPE_CHECKING:
    from PIL import Image

PDQ_SCHEMA = pa.schema([("pdq", pa.binary(pdq.BYTES)), ("pdq_quality", pa.int16())])
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
class PdqScores:
    """The hash of each picture as it is shown, and its quality, 0 to 100."""

    name: str = "pdq"
    version: int = 1

    def schema(self) -> pa.Schema:
        """The columns."""
        return PDQ_SCHEMA

    def settings(self) -> Mapping[str, object]:
        """The definition of the hash."""
        return {"hash": METHOD}

    def measure(self, pictures: Sequence[Image.Image]) -> pa.RecordBatch:
        """Hash decoded RGB pictures; a JPEG may have been decoded at reduced scale, SMALLEST_DECODE px or more."""
        grids = np.array([thumbnail(picture) for picture in pictures], np.float32).reshape(-1, SIDE, SIDE)
        hashes, quality = hash_thumbnails(grids)
        rows = pa.array([each.tobytes() for each in hashes], PDQ_SCHEMA.field("pdq").type)
        return pa.record_batch([rows, pa.array(quality)], schema=PDQ_SCHEMA)


@dataclass(frozen=True)
class LeakScores:
    """What pairs share with the rows of leak indices; an index is loaded once in a process, at the first `measure`."""

    index: tuple[str, ...]
    name: str = "leaks"
    version: int = 1

    def schema(self) -> pa.Schema:
        """The columns."""
        return LEAK_SCHEMA

    def settings(self) -> Mapping[str, object]:
        """The sha256 of each index, in their order, since rows are numbered on. Raises InputError as `load` does."""
        return {"hash": METHOD, "index": list(load_once(self.index).sha256)}

    def measure(self, table: pa.Table) -> pa.RecordBatch:
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
