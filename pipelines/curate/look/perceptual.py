"""The group `perceptual`: the PDQ hash of each image and its quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data_filters.pdq import BYTES
from data_filters.perceptual_hash import METHOD, SMALLEST_DECODE, hash_thumbnails, thumbnail
from pipelines.curate.look.picture import Picture


@dataclass(frozen=True)
class PerceptualHashes:
    """Columns `pdq` (32 bytes) and `pdq_quality` (0 to 100), see `data_filters.perceptual_hash`."""

    name: str = "perceptual"
    version: int = 1
    at_least: int = SMALLEST_DECODE

    def schema(self) -> pa.Schema:
        return pa.schema([("pdq", pa.binary(BYTES)), ("pdq_quality", pa.int16())])

    def settings(self) -> Mapping[str, object]:
        return {"method": METHOD, "at_least": self.at_least}

    def measure(self, pictures: Sequence[Picture]) -> pa.RecordBatch:
        thumbnails = np.stack([thumbnail(picture.decoded(self.at_least)) for picture in pictures])
        hashes, qualities = hash_thumbnails(thumbnails)
        return pa.record_batch(
            [pa.array([row.tobytes() for row in hashes], pa.binary(BYTES)), pa.array(qualities, pa.int16())],
            self.schema(),
        )
