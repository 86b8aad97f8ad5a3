"""Groups of the image bytes' sha256 and MD5, computed only where a rule compares with lists of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import pyarrow as pa

from data_filters.facts import Facts

DIGEST_BYTES = {"sha256": 32, "md5": 16}


@dataclass
class DigestScores:
    """The column `image_sha256` or `image_md5`: the digest of the image's bytes, 32 or 16 bytes."""

    algorithm: Literal["sha256", "md5"]
    version: int = 1
    name: str = field(init=False)
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.name = f"digest-{self.algorithm}"

    def schema(self) -> pa.Schema:
        return pa.schema([(f"image_{self.algorithm}", pa.binary(DIGEST_BYTES[self.algorithm]))])

    def settings(self) -> Mapping[str, object]:
        return {}

    def measure(self, pairs: Sequence[Facts]) -> pa.RecordBatch:
        # MD5 names known files here and protects nothing.
        digests = [hashlib.new(self.algorithm, pair.data, usedforsecurity=False).digest() for pair in pairs]
        return pa.record_batch([pa.array(digests, pa.binary(DIGEST_BYTES[self.algorithm]))], self.schema())
