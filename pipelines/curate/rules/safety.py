"""The rule `safety`: keeps images to which a classifier gives a label with no more than some probability."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from pipelines.curate.look.image_classifier import Classifier, ClassifierScores, classifier_scores
from pipelines.curate.look.safety import OpenNsfw, OpenNsfwScores, open_nsfw_path, open_nsfw_scores
from pipelines.curate.rules.columns import numbers
from pipelines.curate.rules.rule import PairRule

OPEN_NSFW = "opennsfw"


class SafetyRule(PairRule):
    """Drops a pair whose image a classifier gives a label with a probability above a limit, or below one.

    The default is COYO-700M's rule (Byeon et al. 2022): Yahoo's open_nsfw, 0.5. On drawings it is no judge: of 32
    figures of textbooks one scored 0.68.
    """

    kind: Literal["safety"] = "safety"
    model: str = Field(
        OPEN_NSFW,
        min_length=1,
        description="`opennsfw` (the extra safety), or the local folder of a Hugging Face image classifier, readable "
        "on every machine",
    )
    label: int | str | None = Field(
        None, description="the label that is judged, by name or number; null for opennsfw, which has one"
    )
    max_score: float | None = Field(
        0.5, ge=0, le=1, description="probability of the label, 0 to 1; a pair is dropped when above this"
    )
    min_score: float | None = Field(
        None, ge=0, le=1, description="probability of the label, 0 to 1; a pair is dropped when below this"
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.model == OPEN_NSFW) != (self.label is None):
            raise ValueError(
                f"label is {self.label} and model {self.model}; a model of your own needs a label, opennsfw takes none"
            )
        if self.max_score is None and self.min_score is None:
            raise ValueError("max_score and min_score are null; set one of them")
        if self.max_score is not None and self.min_score is not None and self.min_score > self.max_score:
            raise ValueError(
                f"min_score is {self.min_score}, above max_score {self.max_score}; no pair could pass; set max_score: "
                "null for a lower limit alone"
            )
        return self

    @cached_property
    def scores(self) -> OpenNsfwScores | ClassifierScores:
        """The group; kept, since its sha256 is that of files that only the driver need read before the first pair."""
        return open_nsfw_scores() if self.label is None else classifier_scores(self.model, self.label)

    def check(self) -> None:
        """Raises InputError when the model cannot be loaded or does not know the label."""
        self.__dict__.pop("scores", None)  # the files may be others than when this was asked before
        self.groups()
        if self.label is None:
            OpenNsfw(open_nsfw_path())
        else:
            Classifier(self.model)

    def groups(self) -> Sequence[OpenNsfwScores | ClassifierScores]:
        return (self.scores,)

    def words(self) -> str:
        return f"keeps: {self._what()} {self.limit()}"

    def _what(self) -> str:
        return "open_nsfw's score" if self.label is None else f"probability of {self.label} by {self.model}"

    def limit(self) -> str:
        above = [] if self.min_score is None else [f"at least {self.min_score:g}"]
        below = [] if self.max_score is None else [f"at most {self.max_score:g}"]
        return " and ".join(above + below)

    def columns(self) -> Sequence[str]:
        return (self.scores.column,)

    def fails(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        score = numbers(table[self.scores.column])
        lower = 0.0 if self.min_score is None else self.min_score
        upper = 1.0 if self.max_score is None else self.max_score
        # Rounding may lift a probability a little above 1.
        return ~((score >= lower) & (np.minimum(score, 1.0) <= upper))

    # Any: as PairRule says.
    def values(self, table: pa.Table) -> list[Any]:
        return table[self.scores.column].to_pylist()
