"""The group `matching`: a BLIP's contrastive score (ITC) and matching score (ITM) of image and caption.

The image passes once for both (`data_filters.matching`). ITM's pass of the caption is left out for pairs that a band
(`Band`) settles; where that is a band of another group's score, the pair is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data_filters.hashes import xxh3
from pipelines.curate.look.band import Band, Mask
from pipelines.curate.look.matcher import Values, matcher_of_process
from pipelines.curate.look.matching_folder import image_size, read_settings
from pipelines.curate.look.model_files import model_sha256, smallest_decode
from pipelines.curate.look.picture import Picture


@dataclass(frozen=True)
class MatchingScores:
    """`itc` (cosine, -1 to 1), `itm` (probability of a match, 0 to 1), and whether the caption was cut.

    A model under a name has the columns NAME_itc, ... instead. `precision` is that of matrix products; `image_size` in
    pixels. The model lies in a local folder that every machine can read. `band` is no setting: it decides which pairs
    are looked at, and changes no score.
    """

    folder: str
    sha256: str
    model_name: str
    at_least: int
    image_size: int
    first_token: str
    precision: str
    band: Band | None = None
    version: int = 1

    @property
    def name(self) -> str:
        return f"matching-{self.model_name}" if self.model_name else "matching"

    @property
    def itc(self) -> str:
        """The name of the column of cosines."""
        return column_name(self.model_name, "itc")

    @property
    def itm(self) -> str:
        """The name of the column of probabilities."""
        return column_name(self.model_name, "itm")

    @property
    def cut(self) -> str:
        """The name of the column that says whether the caption is longer than the model reads."""
        return column_name(self.model_name, "caption_cut")

    def schema(self) -> pa.Schema:
        return pa.schema([(self.itc, pa.float64()), (self.itm, pa.float64()), (self.cut, pa.bool_())])

    def settings(self) -> Mapping[str, object]:
        return {
            "model_sha256": self.sha256,
            "at_least": self.at_least,
            "image_size": self.image_size,
            "first_token": self.first_token,
            "precision": self.precision,
        }

    def reads(self) -> Sequence[str]:
        band = [] if self.band is None else [self.band.score, "image_hash"]
        return list(dict.fromkeys([self.itm, *band]))

    def wanted(self, table: pa.Table) -> Mask:
        lacks: Mask = table.column(self.itm).is_null().to_numpy()
        if self.band is None or not len(lacks):
            return lacks
        cheap = table.column(self.band.score).cast(pa.float64()).to_numpy()  # null is NaN
        settled = self.band.settles(cheap)
        return lacks & ~(settled & ~self.band.sampled(table.column("image_hash").to_pylist()))

    def broken(self, batch: pa.RecordBatch) -> Sequence[str | None]:
        found: list[str | None] = [None] * batch.num_rows
        for name in (self.itm, self.itc):
            for row in np.flatnonzero(batch.column(name).is_nan().fill_null(False).to_numpy(False)).tolist():
                found[row] = f"nan_score: {name} of {self.folder} is NaN"
        return found

    def measure(self, pictures: Sequence[Picture]) -> pa.RecordBatch:
        matcher = matcher_of_process(self.folder, self.sha256, self.first_token, self.precision)
        tokens = matcher.image_tokens([picture.decoded(self.at_least) for picture in pictures])
        captions = matcher.captions([picture.facts.caption for picture in pictures])
        itc = matcher.contrastive(tokens, captions)
        rows = np.flatnonzero(self._in_band(itc, pictures))
        itm = np.full(len(pictures), np.nan)
        itm[rows] = matcher.matching(tokens, captions, rows)
        left_out = np.ones(len(pictures), np.bool_)
        left_out[rows] = False
        columns = [pa.array(itc), pa.array(itm, mask=left_out), pa.array(captions.is_cut)]
        return pa.record_batch(columns, self.schema())

    def _in_band(self, itc: Values, pictures: Sequence[Picture]) -> Mask:
        """Whether ITM is computed for each pair."""
        if self.band is None or self.band.score != self.itc:
            return np.ones(len(itc), np.bool_)
        hashes = [xxh3(picture.facts.data) for picture in pictures]
        return ~self.band.settles(itc) | self.band.sampled(hashes)


def column_name(model_name: str, score: str) -> str:
    """The column of a score of a model."""
    return f"{model_name}_{score}" if model_name else score


def matching_group(folder: str, name: str, precision: str, band: Band | None) -> MatchingScores:
    """The group of a model under a name. Raises InputError when its files cannot be read."""
    return MatchingScores(
        folder,
        model_sha256(folder),
        name,
        smallest_decode(folder),
        image_size(folder),
        read_settings(folder).first_token,
        precision,
        band,
    )
