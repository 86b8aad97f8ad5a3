"""The rule `matching`: keeps pairs whose caption a BLIP finds to match the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from data_filters.errors import InputError
from pipelines.common.config import Section
from pipelines.curate.look.band import Band
from pipelines.curate.look.matching import MatchingScores, column_name, matching_group
from pipelines.curate.look.matching_folder import check_matching_folder
from pipelines.curate.rules.columns import booleans, numbers
from pipelines.curate.rules.rule import PairRule

Mask = npt.NDArray[np.bool_]


class After(Section):
    """A band of a cheaper score; pairs outside it are settled by that score, and the model is not asked about them."""

    score: str = Field(
        min_length=1,
        description="`itc`, of the same model, which saves ITM's text pass; or a score of another rule, as "
        "clip_similarity of a dual_encoder, which saves the whole model",
    )
    below: float | None = Field(
        None, description="in the score's unit; a pair is dropped when below this; null: none is"
    )
    above: float | None = Field(
        None, description="in the score's unit; a pair is kept when above this; null: none is"
    )
    sample: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of the pairs that the model is asked about all the same, to count what the band changes",
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.below is None and self.above is None:
            raise ValueError("below and above are null, so that the score settles nothing; set one of them")
        if self.below is not None and self.above is not None and self.below > self.above:
            raise ValueError(f"below is {self.below}, which is more than above, {self.above}; swap them")
        return self


class MatchingRule(PairRule):
    """Keeps a pair to which the matching head of a BLIP gives at least some probability of a match (ITM).

    LOUPE (Li et al. 2022, appendix A) filters CC12M so, after BLIP (Li et al. 2022, section 3.3). The image passes once
    for ITM and for the cosine of the two embeddings (ITC), whose columns a rule `top_fraction` may read.
    """

    kind: Literal["matching"] = "matching"
    model: str | None = Field(
        None,
        min_length=1,
        description="needed: local folder of a Hugging Face BlipForImageTextRetrieval, readable on every machine",
    )
    name: str = Field(
        "",
        pattern=r"^[a-z0-9_]{0,40}$",
        description="one for each model; the scores are NAME_itc and NAME_itm; empty: itc and itm",
    )
    min_itm: float | None = Field(
        0.5,
        ge=0,
        le=1,
        description="probability of a match, 0 to 1; a pair is dropped when below this; null: no limit",
    )
    after: After | None = Field(None, description="a cheaper score that settles some pairs; null: none does")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="of matrix products; bf16 is quicker on a GPU, and slower on most CPUs"
    )
    allow_pickle: bool = Field(
        False, description="whether weights may be pickled, which can run code when they are loaded"
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.after is not None and self.min_itm is None:
            raise ValueError("min_itm is null, and after drops pairs; set min_itm, or after: null")
        if self.after is not None and self.after.score in (self.itm, "itm"):
            raise ValueError(
                f"after.score is {self.after.score}, which is what it is to save; name a cheaper score"
            )
        return self

    @property
    def itc(self) -> str:
        """The name of the column of cosines."""
        return column_name(self.name, "itc")

    @property
    def itm(self) -> str:
        """The name of the column of probabilities."""
        return column_name(self.name, "itm")

    @property
    def band(self) -> Band | None:
        """The band of `after`, with the name of its column."""
        if self.after is None:
            return None
        score = self.itc if self.after.score == "itc" else self.after.score
        return Band(score, self.after.below, self.after.above, self.after.sample)

    @cached_property
    def scores(self) -> MatchingScores:
        """The group; kept, since its sha256 is that of files that only the driver need read before the first pair."""
        assert self.model is not None  # checked
        return matching_group(self.model, self.name, self.precision, self.band)

    def check(self) -> None:
        """Raises InputError, which names what was found, when the folder holds no BLIP for matching with its parts."""
        if self.model is None:
            raise InputError(
                "model is null, and the rule needs one; give the folder of a BlipForImageTextRetrieval as its key "
                "`model`, or switch the rule off with null"
            )
        self.__dict__.pop("scores", None)  # the files may be others than when this was asked before
        check_matching_folder(self.model, self.allow_pickle)
        self.groups()

    def groups(self) -> Sequence[MatchingScores]:
        return (self.scores,)

    def words(self) -> str:
        return f"keeps: probability of a match by {self.model}, {self.limit()}"

    def limit(self) -> str:
        said = "any" if self.min_itm is None else f"at least {self.min_itm:g}"
        band = self.band
        if band is None:
            return said
        sides = [] if band.below is None else [f"dropped below {band.score} {band.below:g}"]
        sides += [] if band.above is None else [f"kept above {band.score} {band.above:g}"]
        return f"{said}; {', '.join(sides)}"

    def score_limits(self) -> Mapping[str, Sequence[float]]:
        """The limits by column, for the histograms."""
        limits = {self.itm: [] if self.min_itm is None else [self.min_itm]}
        if (band := self.band) is not None:
            limits[band.score] = [value for value in (band.below, band.above) if value is not None]
        return limits

    def columns(self) -> Sequence[str]:
        own = [self.itm, self.itc, column_name(self.name, "caption_cut")]
        band = [] if self.band is None else [self.band.score, "image_hash"]
        return list(dict.fromkeys([*own, *band]))

    def fails(self, table: pa.Table) -> Mask:
        itm = numbers(table[self.itm])
        fails: Mask = ~(itm >= (-np.inf if self.min_itm is None else self.min_itm))
        if (band := self.band) is not None:
            cheap = numbers(table[band.score])
            fails = np.where(band.settles(cheap), band.is_below(cheap), fails)
        return fails

    # Any: as PairRule says.
    def values(self, table: pa.Table) -> list[Any]:
        found: list[Any] = table[self.itm].to_pylist()
        if (band := self.band) is not None:
            cheap = numbers(table[band.score])
            for row in np.flatnonzero(band.settles(cheap)).tolist():
                found[row] = f"{band.score} {cheap[row]:.9g}"
        return found

    def margins(self, table: pa.Table) -> npt.NDArray[np.float64]:
        """How far ITM lies above the limit; NaN where the band or nothing decides."""
        itm = numbers(table[self.itm])
        found = np.full(len(itm), np.nan) if self.min_itm is None else itm - self.min_itm
        if (band := self.band) is not None:
            found[band.settles(numbers(table[band.score]))] = np.nan
        return found

    def counts(self, table: pa.Table) -> Mapping[str, int]:
        """Captions that were cut; with a band what it settles, and in the sample what that changes."""
        found = {"captions_cut": int(booleans(table[column_name(self.name, "caption_cut")]).sum())}
        if (band := self.band) is None:
            return found
        cheap, itm = numbers(table[band.score]), numbers(table[self.itm])
        settled, sampled = band.settles(cheap), band.sampled(table["image_hash"].to_pylist())
        compared = settled & sampled & ~np.isnan(itm)
        changed = compared & (band.is_below(cheap) != (itm < (self.min_itm or 0.0)))
        masks = {
            "below": band.is_below(cheap) & ~sampled,
            "above": band.is_above(cheap) & ~sampled,
            "sampled": compared,
            "changed": changed,
        }
        return {**found, "pairs": table.num_rows, **{name: int(mask.sum()) for name, mask in masks.items()}}

    def notes(self, counts: Mapping[str, int]) -> Sequence[str]:
        said = []
        if counts.get("captions_cut"):
            said.append(
                f"{counts['captions_cut']:,} captions were longer than the model reads, and were cut."
            )
        if (band := self.band) is not None and counts.get("pairs"):
            what = "ITM" if band.score == self.itc else "the model"
            skipped = counts["below"] + counts["above"]
            said.append(
                f"{skipped:,} of {counts['pairs']:,} pairs ({100 * skipped / counts['pairs']:.1f} %) were settled by "
                f"{band.score} without {what}: {counts['below']:,} dropped, {counts['above']:,} kept. Of "
                f"{counts['sampled']:,} more that it settles and {what} was asked about all the same, "
                f"{counts['changed']:,} have another verdict by ITM."
            )
        return said
