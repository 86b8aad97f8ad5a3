"""The group `language`: the language of each caption and its probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from data_filters.facts import Facts
from data_filters.language import identifier_of_process, model_path
from pipelines.curate.scores.local_files import sha256_of


@dataclass
class LanguageScores:
    """Columns `language` (ISO 639 code, null where nothing can be told) and `language_probability` (0 to 1, NaN).

    `model` is a local file that every machine of the run can read; None is the one that the method ships.
    """

    method: str = "fasttext"
    model: str | None = None
    name: str = "language"
    version: int = 1

    def schema(self) -> pa.Schema:
        return pa.schema([("language", pa.string()), ("language_probability", pa.float64())])

    def settings(self) -> Mapping[str, object]:
        """The method and the sha256 of its model. Raises InputError when there is none."""
        return {"method": self.method, "model_sha256": sha256_of(model_path(self.method, self.model))}

    def measure(self, pairs: Sequence[Facts]) -> pa.RecordBatch:
        path = model_path(self.method, self.model)
        identify = identifier_of_process(self.method, path, sha256_of(path))
        codes, shares = identify([pair.caption for pair in pairs])
        return pa.record_batch(
            [pa.array(codes, pa.string()), pa.array(shares, pa.float64(), from_pandas=False)], self.schema()
        )
