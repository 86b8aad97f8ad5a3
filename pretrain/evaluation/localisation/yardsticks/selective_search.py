"""Hierarchical grouping of superpixels: selective search (Uijlings et al. 2013, IJCV 104, algorithm 1).

The two most similar neighbours are joined, again and again, until one region is left. Similarity is the sum of those of
section 3.2 in colour, size and fill; that in texture is left out, one of the combinations that the paper tries.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
from jaxtyping import Float, Int

BINS = 25
"""Of the histogram of each colour channel."""


@dataclass(frozen=True)
class _Region:
    """`box` is (left, top, right, bottom) in px; `colors` the histograms of all channels, their sum is 1."""

    size: int
    box: tuple[int, int, int, int]
    colors: Float[np.ndarray, " bins"]

    def joined(self, other: _Region) -> _Region:
        size = self.size + other.size
        colors = (self.size * self.colors + other.size * other.colors) / size
        return _Region(size, _around(self.box, other.box), colors)

    def similarity(self, other: _Region, image_size: int) -> float:
        """0 to 3: equal colours, both small, and a box around both that they fill."""
        size = self.size + other.size
        left, top, right, bottom = _around(self.box, other.box)
        gaps = (right - left) * (bottom - top) - size
        color = float(np.minimum(self.colors, other.colors).sum())
        return color + (1 - size / image_size) + (1 - gaps / image_size)


def group(
    image: Float[np.ndarray, "H W channels"], segments: Int[np.ndarray, "H W"]
) -> Int[np.ndarray, "R 4"]:
    """Boxes (left, top, right, bottom) in px of all regions: the n segments, then the n − 1 unions as they were made.

    `image` has values from 0 to 1, `segments` a number from 0 to n − 1 for each pixel, every number at least once. The
    last box is the whole image.
    """
    regions = _regions(image, segments)
    neighbours = _neighbours(segments, len(regions))
    size = segments.size
    queue = [
        (-regions[one].similarity(regions[other], size), one, other)
        for one, others in neighbours.items()
        for other in others
        if one < other
    ]
    heapify(queue)
    while queue:
        _, one, other = heappop(queue)
        if one not in neighbours or other not in neighbours:
            continue  # one of the two is part of a union already
        union = len(regions)
        regions.append(regions[one].joined(regions[other]))
        around = (neighbours.pop(one) | neighbours.pop(other)) - {one, other}
        neighbours[union] = around
        for region in sorted(around):
            neighbours[region] = neighbours[region] - {one, other} | {union}
            heappush(queue, (-regions[region].similarity(regions[union], size), region, union))
    return np.array([region.box for region in regions])


def _regions(image: Float[np.ndarray, "H W channels"], segments: Int[np.ndarray, "H W"]) -> list[_Region]:
    """The regions that the segments are."""
    count, channels = int(segments.max()) + 1, image.shape[2]
    sizes = np.bincount(segments.ravel(), minlength=count)
    bins = np.minimum((image * BINS).astype(int), BINS - 1) + BINS * np.arange(channels)
    places = segments[..., None] * (channels * BINS) + bins
    colors = np.bincount(places.ravel(), minlength=count * channels * BINS).reshape(count, -1)
    rows, columns = np.indices(segments.shape)
    low = np.full((count, 2), max(segments.shape))
    high = np.zeros((count, 2), int)
    for axis, place in enumerate((columns, rows)):
        np.minimum.at(low[:, axis], segments.ravel(), place.ravel())
        np.maximum.at(high[:, axis], segments.ravel(), place.ravel() + 1)
    boxes = np.concatenate([low, high], 1).tolist()
    return [
        _Region(int(size), (left, top, right, bottom), color / (size * channels))
        for size, (left, top, right, bottom), color in zip(sizes, boxes, colors, strict=True)
    ]


def _neighbours(segments: Int[np.ndarray, "H W"], count: int) -> dict[int, set[int]]:
    """Segment → the segments that it shares a side of a pixel with."""
    pairs = np.concatenate(
        [
            np.stack([segments[:, :-1].ravel(), segments[:, 1:].ravel()], 1),
            np.stack([segments[:-1].ravel(), segments[1:].ravel()], 1),
        ]
    )
    neighbours: dict[int, set[int]] = {number: set() for number in range(count)}
    for one, other in np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0).tolist():
        neighbours[one].add(other)
        neighbours[other].add(one)
    return neighbours


def _around(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The smallest box around two."""
    return (min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3]))
