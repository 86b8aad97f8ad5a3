"""Cells of a space of embeddings: spherical k-means on a sample, equal on every machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.curate.corpus.near.embeddings import Half, content_hashes
from pipelines.curate.corpus.near.mixing import Bits, constants

Centroids = npt.NDArray[np.float64]
"""`[cells, dim]`, of norm about 1, multiples of 2^-16, so that a product with a float16 embedding sums up exactly."""

_STEPS = 2.0**16
_COARSE = 2.0**12
_MARGIN = 1e-4  # more than float32 is off by in a sum of products at norms of 1
_ROWS_AT_ONCE = 2048


@dataclass(frozen=True)
class Sample:
    """Embeddings whose seeded content hashes are the `size` smallest, by hash, each content once."""

    size: int
    hashes: Bits
    embeddings: Half

    @staticmethod
    def of(embeddings: Half, size: int, seed: int) -> Sample:
        """The sample of some rows."""
        return Sample(size, content_hashes(embeddings) ^ constants(seed, 1)[0], embeddings)._cut()

    def add(self, other: Sample) -> Sample:
        """The sample of the rows of both; the order of additions does not matter."""
        if not len(self.hashes) or not len(other.hashes):
            return self if len(self.hashes) else other
        hashes = np.concatenate([self.hashes, other.hashes])
        return Sample(self.size, hashes, np.concatenate([self.embeddings, other.embeddings]))._cut()

    def _cut(self) -> Sample:
        hashes, places = np.unique(self.hashes, return_index=True)
        return Sample(self.size, hashes[: self.size], self.embeddings[places[: self.size]])


def trained(sample: Half, cells: int, rounds: int) -> Centroids:
    """Centroids of spherical k-means (Dhillon and Modha 2001) that begins at the sample's first rows.

    There are fewer than `cells` where the sample has fewer rows; a cell that loses all rows stays where it was.
    """
    centroids = _unit(sample[:cells].astype(np.float64))
    for _ in range(rounds):
        cell = cells_of(sample, centroids)
        order = np.argsort(cell, kind="stable")
        filled, starts = np.unique(cell[order], return_index=True)
        if len(filled):
            # Sums of float16 values are exact in float64, in whatever order they are taken.
            centroids[filled] = _unit(np.add.reduceat(sample[order].astype(np.float64), starts))
    return centroids


def cells_of(embeddings: Half, centroids: Centroids) -> npt.NDArray[np.int64]:
    """The number of the centroid with the largest inner product, the first of equal ones: `int64[rows]`."""
    cells = np.zeros(len(embeddings), dtype=np.int64)
    small = centroids.astype(np.float32).T
    for first in range(0, len(embeddings), _ROWS_AT_ONCE):
        part = embeddings[first : first + _ROWS_AT_ONCE]
        wide = part.astype(np.float32)
        products = wide @ small
        best = products.max(axis=1, keepdims=True)
        margin = _MARGIN * np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1)
        close = np.flatnonzero((products >= best - margin).sum(axis=1) > 1)
        cell = products.argmax(axis=1)
        cell[close] = (part[close].astype(np.float64) @ centroids.T).argmax(axis=1)
        cells[first : first + len(part)] = cell
    return cells


def _unit(sums: Centroids) -> Centroids:
    """Scale rows to norm 1, rounded so that no sum on the way depends on its order."""
    largest = np.abs(sums).max(axis=1, keepdims=True)
    coarse = np.round(
        sums / np.where(largest > 0, largest, 1) * _COARSE
    )  # integers up to 2^12: squares sum exactly
    norms = np.sqrt(np.einsum("ij,ij->i", coarse, coarse))[:, None]
    return np.round(coarse / np.where(norms > 0, norms, 1) * _STEPS) / _STEPS
