"""The rule against leaks: no pair whose picture, or whose caption if asked for, is in an evaluation set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, field_validator

from data_filters.leakage import REACH
from data_filters.perceptual_hash import LOWEST_QUALITY
from pipelines.curate.look.group import AnyLook
from pipelines.curate.look.leaks import LeakScores, load_once
from pipelines.curate.look.perceptual import PdqScores
from pipelines.curate.rules.columns import booleans, numbers
from pipelines.curate.rules.list_files import Source
from pipelines.curate.rules.rule import PairRule


class Leaks(PairRule):
    """Drop pairs whose picture lies near one of an index, or has its bytes.

    Source of the distance: Facebook's description of PDQ (2019), where 31 of 256 bits is the limit for a match.
    """

    kind: Literal["leaks"] = "leaks"
    index: tuple[str, ...] = Field(min_length=1, description="files of `loupe leak-index`, by path or URI")
    max_distance: int = Field(
        default=REACH,
        ge=0,
        le=REACH,
        description="bits of 256; a pair within this of an indexed picture goes",
    )
    min_quality: int = Field(
        default=LOWEST_QUALITY, ge=0, le=100, description="PDQ quality; below it only equal bytes are a leak"
    )
    captions: Literal["flag", "drop"] = Field(
        default="flag", description="what happens to a pair whose caption is in an index"
    )

    @field_validator("index", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    def check(self) -> None:
        """Read the indices anew. Raises InputError when one cannot be read, is empty, or is none."""
        load_once.cache_clear()
        load_once(self.index)

    def sources(self) -> Sequence[dict[str, str | int]]:
        """Path, sha256 and number of rows of every index, for the data set's record."""
        found = load_once(self.index)
        return [Source(*one).as_json() for one in zip(self.index, found.sha256, found.rows, strict=True)]

    def groups(self) -> Sequence[AnyLook]:
        """The pictures' hashes, and what they share with the index."""
        return (PdqScores(), LeakScores(self.index))

    def words(self) -> str:
        """The rule in words."""
        return f"keeps: {self.limit()}"

    def limit(self) -> str:
        """The limit in words."""
        captions = ", caption in none" if self.captions == "drop" else ""
        return f"more than {self.max_distance} bits from any picture of the leak index{captions}"

    def columns(self) -> Sequence[str]:
        """The columns that it compares."""
        return ("leak_distance", "leak_bytes", "leak_caption", "pdq_quality")

    def fails(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Whether each row fails; one without scores does."""
        near = ~(numbers(table["leak_distance"]) > self.max_distance)  # so is one without a distance
        fails = (near & ~self.without_verdict(table)) | booleans(table["leak_bytes"])
        if self.captions == "drop":
            fails |= booleans(table["leak_caption"])
        return fails

    def no_verdict_cause(self) -> str:
        """Too little in the picture."""
        return f"images of PDQ quality below {self.min_quality}"

    def without_verdict(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Whether each row's picture has too little in it to be compared; these are counted."""
        return numbers(table["pdq_quality"]) < self.min_quality

    # Any: a number or text.
    def values(self, table: pa.Table) -> list[Any]:
        """`same bytes`, the distance in bits, or `same caption`; the value of a pair that is near nothing is 32."""
        distance = table["leak_distance"].to_pylist()
        quiet = self.without_verdict(table)
        return [
            "same bytes"
            if same
            else "same caption"
            if caption and (low or bits > self.max_distance)
            else bits
            for same, caption, low, bits in zip(
                table["leak_bytes"].to_pylist(),
                table["leak_caption"].to_pylist(),
                quiet,
                distance,
                strict=True,
            )
        ]
