"""The rule `dual_encoder`: keeps pairs whose image and caption a dual encoder finds alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from data_filters.errors import InputError
from pipelines.curate.look.dual_encoder import DualEncoderScores, Encoder, dimension, dual_encoder_scores
from pipelines.curate.look.model_files import loading
from pipelines.curate.rules.columns import numbers
from pipelines.curate.rules.rule import PairRule


class DualEncoderRule(PairRule):
    """Keeps a pair whose image and caption have embeddings of at least some cosine.

    LAION-400M (Schuhmann et al. 2021): CLIP ViT-B/32, 0.3. DataComp (Gadre et al. 2023): CLIP ViT-L/14, `min_score`
    null, and a rule `top_fraction` of 0.3 over the column NAME_similarity. Cosines of different models differ: those
    of a SigLIP are lower than those of a CLIP.
    """

    kind: Literal["dual_encoder"] = "dual_encoder"
    model: str | None = Field(
        None,
        min_length=1,
        description="needed: local folder of a Hugging Face CLIP, SigLIP or VisionTextDualEncoderModel, readable on "
        "every machine; an export of `loupe export` is one",
    )
    name: str = Field(
        "clip",
        pattern=r"^[a-z0-9_]{1,40}$",
        description="stands in the name of the score, NAME_similarity; one for each model",
    )
    min_score: float | None = Field(
        0.3,
        ge=-1,
        le=1,
        description="cosine of image and caption, -1 to 1; a pair is dropped when below this; null: no limit",
    )
    embeddings: bool = Field(
        False, description="whether the image's embedding is kept, for the rule near_embeddings"
    )

    @cached_property
    def scores(self) -> DualEncoderScores:
        """The group; kept, since its sha256 is that of files that only the driver need read before the first pair."""
        assert self.model is not None  # checked
        return dual_encoder_scores(self.model, self.name, self.embeddings)

    def check(self) -> None:
        """Raises InputError when the model cannot be loaded, or fails at a grey picture with a word."""
        from PIL import Image

        if self.model is None:
            raise InputError(
                "model is null, and the rule needs one; give the folder of a CLIP, SigLIP or "
                "VisionTextDualEncoderModel as its key `model`, or switch the rule off with null"
            )
        self.__dict__.pop("scores", None)  # the files may be others than when this was asked before
        self.groups()
        encoder, dim = Encoder(self.model), dimension(self.model)
        with loading(self.model):
            found = encoder.of_images([Image.new("RGB", (64, 64))]).shape[1], encoder.of_texts(["a"]).shape[1]
        if found != (dim, dim):
            raise InputError(
                f"model is {self.model}, whose embeddings of image and text have {found} values, by its config {dim}; "
                "give a dual encoder"
            )

    def groups(self) -> Sequence[DualEncoderScores]:
        return (self.scores,)

    def words(self) -> str:
        return f"keeps: cosine of image and caption by {self.model}, {self.limit()}"

    def limit(self) -> str:
        return "any" if self.min_score is None else f"at least {self.min_score:g}"

    def columns(self) -> Sequence[str]:
        return (self.scores.column,)

    def fails(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        lowest = -np.inf if self.min_score is None else self.min_score
        return ~(numbers(table[self.scores.column]) >= lowest)

    # Any: as PairRule says.
    def values(self, table: pa.Table) -> list[Any]:
        return table[self.scores.column].to_pylist()
