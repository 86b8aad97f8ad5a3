"""What a group of scores is: columns that are computed together, stored together and computed anew together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from data_filters.facts import Facts


class Columns(Protocol):
    """What every group of scores has, however it is computed."""

    @property
    def name(self) -> str:
        """The folder of its files."""
        ...

    @property
    def version(self) -> int:
        """Raise it when the same pair gets other values."""
        ...

    def schema(self) -> pa.Schema:
        """The columns, whose names are unique among all groups."""
        ...

    def settings(self) -> Mapping[str, object]:
        """What changes the values, as JSON holds it: the sha256 of a model or a list, never a threshold."""
        ...


class Group(Columns, Protocol):
    """Scores of pairs that need no pixels: headers, captions, hashes, metadata.

    They are stored in `OUTPUT/scores/NAME/SHARD.parquet` and computed anew when the shard's bytes, `version` or
    `settings` change, never for a threshold. A group is pickled to Ray workers: load a model at the first `measure`.
    One that needs the image's bytes has an attribute `reads_image` that is true; others may be computed without them.
    """

    def measure(self, pairs: Sequence[Facts]) -> pa.RecordBatch:
        """Compute a row for each pair, in their order."""
        ...
