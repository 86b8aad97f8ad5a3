"""Near duplicates of images: a pair goes when an earlier image has nearly the same perceptual hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from pipelines.curate.corpus.corpus import Corpus, Rows
from pipelines.curate.corpus.near.band_rows import band_rows
from pipelines.curate.corpus.near.bit_bands import BitBands, bands_for
from pipelines.curate.corpus.near.buckets import Bucketed, nearest_earlier, shared
from pipelines.curate.corpus.near.hamming import SimilarHashes, hashes_of, items_of
from pipelines.curate.corpus.near.hot_copies import shuffle_without_copies
from pipelines.curate.corpus.near.no_verdict import Counts, add_counts
from pipelines.curate.corpus.near.oversized import oversized_notes
from pipelines.curate.look.group import AnyLook
from pipelines.curate.look.perceptual import PdqScores
from pipelines.curate.rules.rule import CorpusRule

PDQ = "pdq"
QUALITY = "pdq_quality"
ROW_BYTES = 48
"""Of an image on its way to a bucket: key, rank, hash."""
MOST_BANDS = 256


class NearImages(CorpusRule):
    """Drop a pair when an earlier one of the rule's population has an image of nearly the same PDQ hash.

    Candidates share a band of bits, and each is verified exactly. An image without a hash, or of a quality below
    `min_quality`, is not judged, and nothing is dropped on its account.
    """

    kind: Literal["near_images"]
    max_distance: int = Field(
        31,
        ge=0,
        le=127,
        description="bits of 256 in which the hashes differ; the later pair is dropped up to this",
    )
    min_quality: int = Field(
        50, ge=0, le=100, description="PDQ quality (0 to 100) below which an image is not judged"
    )
    bits: int = Field(20, ge=4, le=48, description="bits of a band; more: fewer candidates, more bands")
    min_recall: float = Field(
        0.95,
        gt=0,
        lt=1,
        description="share of the pairs just at max_distance that share a band; decides bands",
    )
    cap: int = Field(
        1000, ge=1, description="images of a bucket, the earliest, that each later one is compared with"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="decides which bits form a band")

    @model_validator(mode="after")
    def _affordable(self) -> Self:
        if self.bands().bands > MOST_BANDS:
            raise ValueError(
                f"max_distance {self.max_distance} with {self.bits} bits needs more than the {MOST_BANDS} bands "
                "that are allowed; lower bits or min_recall"
            )
        return self

    def bands(self) -> BitBands:
        """The fewest bands with the recall that is asked for at the limit."""
        count = bands_for(self.min_recall, self.max_distance, self.bits, MOST_BANDS + 1)
        return BitBands(count, self.bits, self.seed)

    def groups(self) -> Sequence[AnyLook]:
        """The pictures' hashes."""
        return (PdqScores(),)

    def words(self) -> str:
        """For the funnel."""
        return f"keeps: images whose PDQ hash differs from every earlier one in more than {self.max_distance} bits"

    def limit(self) -> str:
        """For the status."""
        return f"distance above {self.max_distance} bits of 256"

    def recall_by_distance(self) -> list[tuple[float, float]]:
        """Rows (distance in bits, probability that two hashes at it are compared), from 0 to the limit."""
        bands = self.bands()
        step = max(self.max_distance // 8, 1)
        distances = sorted({*range(0, self.max_distance, step), self.max_distance})
        return [(float(distance), bands.recall(distance)) for distance in distances]

    def no_verdict(self, corpus: Corpus) -> Counts:
        """The pairs of the population that are not judged, by cause."""
        return corpus.fold([PDQ, QUALITY], NotJudged(self.min_quality), add_counts)

    def notes(self, counts: Mapping[str, int]) -> Sequence[str]:
        """That large buckets were not compared in full."""
        return oversized_notes(counts, self.cap, "images")

    def decide(self, corpus: Corpus) -> None:
        """Drop the later of two near images."""
        select = BandsOfImages(self.bands(), self.min_quality)
        reduce = NearestImages(self.max_distance, self.cap)
        groups = GroupsOfImages(self.min_quality)
        shuffle_without_copies(corpus, [PDQ, QUALITY], select, reduce, groups, ROW_BYTES, equal=0.0)


def _good(table: pa.Table, min_quality: int) -> npt.NDArray[np.bool_]:
    """Whether the quality of each row, 0 where there is none, is enough."""
    quality = pc.fill_null(table[QUALITY].cast(pa.float64()), 0.0).to_numpy()
    return quality >= min_quality


def _hashed(table: pa.Table) -> npt.NDArray[np.bool_]:
    """Whether each row has a hash."""
    return pc.is_valid(table[PDQ]).to_numpy()


@dataclass(frozen=True)
class NotJudged:
    """Counts a shard's pairs without a verdict."""

    min_quality: int

    def __call__(self, rows: Rows) -> Counts:
        """By cause."""
        hashed, good = _hashed(rows.table), _good(rows.table, self.min_quality)
        if rows.is_earlier:
            hashed = good = np.ones(len(rows.rows), dtype=bool)
        return {
            "images without a hash": int((~hashed).sum()),
            f"images of PDQ quality below {self.min_quality}": int((hashed & ~good).sum()),
        }


@dataclass(frozen=True)
class GroupsOfImages:
    """A shard's judged hashes → their groups of equal hashes."""

    min_quality: int

    def __call__(self, rows: Rows) -> pa.Table:
        """A table key (of the hash), rank, same_0 to same_3 (the hash)."""
        judged = _hashed(rows.table) & _good(rows.table, self.min_quality)
        hashes = hashes_of(rows.table[PDQ].filter(pa.array(judged)))
        parts = {f"same_{part}": hashes[:, part].copy() for part in range(hashes.shape[1])}
        return pa.table({"key": items_of(hashes), "rank": rows.ranks()[judged], **parts})


@dataclass(frozen=True)
class BandsOfImages:
    """A shard's hashes → a row for each band, with rank and hash."""

    bands: BitBands
    min_quality: int

    def __call__(self, rows: Rows) -> pa.Table:
        """A table key, rank, pdq."""
        judged = pa.array(_hashed(rows.table) & _good(rows.table, self.min_quality))
        contents = pa.table({"rank": rows.ranks(), PDQ: rows.table[PDQ]}).filter(judged).combine_chunks()
        hashes = hashes_of(contents[PDQ])
        return band_rows(contents, self.bands.keys(hashes), items_of(hashes))


@dataclass(frozen=True)
class NearestImages:
    """All rows of some bands → DROPS, with counts of oversized buckets in the metadata."""

    max_distance: int
    cap: int

    def __call__(self, table: pa.Table) -> pa.Table:
        """The later pairs, each with its earliest near one of a bucket and their distance in bits."""
        table = table.take(pa.array(shared(table["key"].to_numpy()))).combine_chunks()
        hashes = hashes_of(table[PDQ])
        rows = Bucketed(table["key"].to_numpy(), table["rank"].to_numpy(), items_of(hashes))
        return nearest_earlier(rows, SimilarHashes(hashes, self.max_distance), self.cap)
