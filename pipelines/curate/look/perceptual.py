"""The group `pdq`: the perceptual hash of each picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data_filters import pdq
from data_filters.perceptual_hash import METHOD, SIDE, SMALLEST_DECODE, hash_thumbnails, thumbnail
from pipelines.curate.look.picture import Picture

PDQ_SCHEMA = pa.schema([("pdq", pa.binary(pdq.BYTES)), ("pdq_quality", pa.int16())])


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

    @property
    def at_least(self) -> int:
        """Pixels: as the pictures of an index are decoded."""
        return SMALLEST_DECODE

    def measure(self, pictures: Sequence[Picture]) -> pa.RecordBatch:
        """Hash every picture."""
        thumbnails = [thumbnail(picture.decoded(self.at_least)) for picture in pictures]
        grids = np.array(thumbnails, np.float32).reshape(-1, SIDE, SIDE)
        hashes, quality = hash_thumbnails(grids)
        rows = pa.array([each.tobytes() for each in hashes], PDQ_SCHEMA.field("pdq").type)
        return pa.record_batch([rows, pa.array(quality)], schema=PDQ_SCHEMA)
