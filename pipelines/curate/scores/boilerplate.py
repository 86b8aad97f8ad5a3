"""The group `boilerplate`: the phrase of a list that a caption holds."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from data_filters.boilerplate import PHRASES, matcher
from data_filters.facts import Facts


@dataclass
class BoilerplateScores:
    """The column `boilerplate`: the entry of the list that a caption holds, an empty text where it holds none."""

    phrases: tuple[str, ...] = PHRASES
    name: str = "boilerplate"
    version: int = 1

    def schema(self) -> pa.Schema:
        return pa.schema([("boilerplate", pa.string())])

    def settings(self) -> Mapping[str, object]:
        return {"phrases_sha256": hashlib.sha256("\n".join(self.phrases).encode()).hexdigest()}

    def measure(self, pairs: Sequence[Facts]) -> pa.RecordBatch:
        find = _matcher(self.phrases)
        return pa.record_batch(
            [pa.array([find(pair.caption) or "" for pair in pairs], pa.string())], self.schema()
        )


@functools.lru_cache(maxsize=4)
def _matcher(phrases: tuple[str, ...]) -> Callable[[str], str | None]:
    return matcher(phrases)
