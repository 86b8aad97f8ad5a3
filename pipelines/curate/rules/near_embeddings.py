"""Near duplicates of embeddings (SemDeDup): a pair goes when an earlier one of its cell points nearly the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipelines.curate.corpus.corpus import Corpus, Rows, Shared
from pipelines.curate.corpus.near.cells import Centroids, Sample, cells_of, trained
from pipelines.curate.corpus.near.cosine import similar_in_cells
from pipelines.curate.corpus.near.embeddings import embeddings_of
from pipelines.curate.corpus.near.mixing import mix
from pipelines.curate.corpus.near.no_verdict import Counts, add_counts
from pipelines.curate.corpus.near.oversized import oversized_notes
from pipelines.curate.rules.rule import CorpusRule

EMBEDDING = "embedding"


class NearEmbeddings(CorpusRule):
    """Drop a pair when an earlier one of the rule's population, in the same k-means cell, has a similar embedding.

    After SemDeDup (Abbas et al. 2023, arXiv 2303.09540), which keeps the pair of a group that is furthest from the
    centroid: here an earlier pair keeps its place, as in every rule on duplicates. Embeddings are rounded to float16.
    """

    kind: Literal["near_embeddings"]
    min_similarity: float = Field(
        0.95, gt=0, le=1, description="cosine of two embeddings; the later pair is dropped at this or above"
    )
    cells: int = Field(
        1000, ge=1, le=100_000, description="k-means cells; only pairs of one cell are compared"
    )
    sample: int = Field(32, ge=2, description="embeddings per cell that k-means is trained on")
    rounds: int = Field(10, ge=0, description="rounds of k-means")
    cap: int = Field(
        20_000, ge=1, description="embeddings of a cell, the earliest, that each later one is compared with"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="decides the sample")

    def columns(self) -> Sequence[str]:
        """The embedding, which a rule dual_encoder keeps."""
        return (EMBEDDING,)

    def words(self) -> str:
        """For the funnel."""
        return f"keeps: embeddings whose cosine with every earlier one of their cell is below {self.min_similarity:g}"

    def limit(self) -> str:
        """For the status."""
        return f"cosine below {self.min_similarity:g}"

    def recall_by_distance(self) -> list[tuple[float, float]]:
        """Rows (1 - cosine, probability that two embeddings of one cell are compared): all are."""
        furthest = round(1 - self.min_similarity, 6)
        return [(distance, 1.0) for distance in sorted({0.0, furthest})]

    def no_verdict(self, corpus: Corpus) -> Counts:
        """The pairs of the population that are not judged."""
        return corpus.fold([EMBEDDING], _without_direction, add_counts)

    def notes(self, counts: Mapping[str, int]) -> Sequence[str]:
        """That large cells were not compared in full."""
        return oversized_notes(counts, self.cap, "embeddings", "cell")

    def decide(self, corpus: Corpus) -> None:
        """Train the cells on a sample, then drop the later of two similar pairs of a cell."""
        sample = corpus.fold([EMBEDDING], TakeSample(self.cells * self.sample, self.seed), Sample.add)
        centroids = trained(sample.embeddings, self.cells, self.rounds)
        select = CellsOfEmbeddings(corpus.share(centroids))
        corpus.shuffle([EMBEDDING], select, SimilarEmbeddings(self.min_similarity, self.cap))


def _without_direction(rows: Rows) -> Counts:
    _, valid = embeddings_of(rows.table[EMBEDDING])
    return {"embeddings missing, zero or not finite": 0 if rows.is_earlier else int((~valid).sum())}


@dataclass(frozen=True)
class TakeSample:
    """Takes a shard's part of the sample that k-means is trained on."""

    size: int
    seed: int

    def __call__(self, rows: Rows) -> Sample:
        """The shard's sample."""
        embeddings, valid = embeddings_of(rows.table[EMBEDDING])
        return Sample.of(embeddings[valid], self.size, self.seed)


@dataclass(frozen=True)
class CellsOfEmbeddings:
    """A shard's embeddings → their rows, with the cell as key."""

    centroids: Shared[Centroids]

    def __call__(self, rows: Rows) -> pa.Table:
        """A table key, rank, embedding (float16)."""
        embeddings, valid = embeddings_of(rows.table[EMBEDDING])
        embeddings = embeddings[valid]
        centroids = self.centroids.get()
        cell = cells_of(embeddings, centroids) if len(centroids) else np.zeros(0, np.int64)
        values = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.ravel()), embeddings.shape[1])
        return pa.table(
            {"key": mix(cell.astype(np.uint64)), "rank": rows.ranks()[valid], EMBEDDING: values},
        )


@dataclass(frozen=True)
class SimilarEmbeddings:
    """All rows of some cells → DROPS, with counts of oversized cells in the metadata."""

    min_similarity: float
    cap: int

    def __call__(self, table: pa.Table) -> pa.Table:
        """The later pairs, each with the earliest similar one of its cell and their cosine."""
        embeddings, _ = embeddings_of(table[EMBEDDING])
        return similar_in_cells(
            table["key"].to_numpy(), table["rank"].to_numpy(), embeddings, self.min_similarity, self.cap
        )
