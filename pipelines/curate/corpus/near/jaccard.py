"""Jaccard similarity of pairs of word sets: intersection over union, exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.curate.corpus.near.mixing import Bits, mix

Places = npt.NDArray[np.int64]

_NO_WORD = np.uint64(0xFFFFFFFFFFFFFFFF)
_CELLS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class WordSets:
    """Set i is `words[ends[i]:ends[i + 1]]`: distinct hashes."""

    words: Bits
    ends: npt.NDArray[np.int64]

    def sizes(self) -> Places:
        """The number of words of each set."""
        return np.diff(self.ends)

    def items(self) -> Bits:
        """A hash of each set, which has one word at least, whatever the order of its words."""
        return mix(np.add.reduceat(mix(self.words), self.ends[:-1])) if len(self.ends) > 1 else self.words[:0]

    def sketches(self) -> Bits:
        """64 bits of each set, which has one word at least: one set for each word, some words sharing theirs."""
        if len(self.ends) == 1:
            return self.words[:0]
        return np.bitwise_or.reduceat(np.uint64(1) << (self.words & np.uint64(63)), self.ends[:-1])


class SimilarSets:
    """Whether pairs of sets have at least a similarity, and how large it is."""

    def __init__(self, sets: WordSets, min_similarity: float) -> None:
        self._sets = sets
        self._limit = min_similarity
        self._sizes = sets.sizes()
        self._sketches = sets.sketches()
        self._hidden = self._sizes - np.bitwise_count(self._sketches)  # words whose bit another word has

    def __call__(
        self, later: Places, earlier: Places
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """For each pair of places: whether it is similar, and its similarity (0 where it can be seen to be lower)."""
        total = self._sizes[later] + self._sizes[earlier]
        both = np.bitwise_count(self._sketches[later] & self._sketches[earlier])
        # No more words can be common than this: of the common bits' words only the hidden ones go uncounted.
        common = both + np.minimum(self._hidden[later], self._hidden[earlier])
        common = np.minimum(common, np.minimum(self._sizes[later], self._sizes[earlier]))
        possible = np.flatnonzero(common / (total - common) >= self._limit)
        value = np.zeros(len(later))
        common = self._common(later[possible], earlier[possible])
        value[possible] = common / (total[possible] - common)
        return value >= self._limit, value

    def _common(self, later: Places, earlier: Places) -> Places:
        """The number of words that each pair has in common."""
        total = self._sizes[later] + self._sizes[earlier]
        common = np.zeros(len(later), dtype=np.int64)
        width = 8
        most = total.max(initial=0)
        while width == 8 or width < 2 * most:  # the first width is for all small sets
            pairs = np.flatnonzero((total <= width) & (total > (width // 2 if width > 8 else 0)))
            step = max(_CELLS_AT_ONCE // width, 1)
            for at in range(0, len(pairs), step):
                part = pairs[at : at + step]
                common[part] = self._common_of(later[part], earlier[part], width)
            width *= 2
        return common

    def _common_of(self, later: Places, earlier: Places, width: int) -> Places:
        """Pairs of `width` words at most: sort each pair's words and count those that come twice."""
        row = np.full((len(later), width), _NO_WORD)
        self._fill(row, np.zeros(len(later), np.int64), later)
        self._fill(row, self._sizes[later], earlier)
        row.sort(axis=1)
        twice = (row[:, 1:] == row[:, :-1]).sum(axis=1)
        empty = width - self._sizes[later] - self._sizes[earlier]
        return twice - np.maximum(empty - 1, 0)

    def _fill(self, row: Bits, column: Places, sets: Places) -> None:
        """Put the words of the sets into their rows, from a column on."""
        sizes = self._sizes[sets]
        place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        words = self._sets.words[np.repeat(self._sets.ends[sets], sizes) + place]
        row[np.repeat(np.arange(len(sets)), sizes), np.repeat(column, sizes) + place] = words
