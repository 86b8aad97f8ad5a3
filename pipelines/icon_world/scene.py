"""Draws a scene of the icon world: its objects, their colours, sizes and places, and the background."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipelines.icon_world.backdrop import Backdrop
from pipelines.icon_world.glyphs import glyph_mask
from pipelines.icon_world.vocabulary import BACKGROUND_COLORS, BACKGROUNDS, NAMES, SIZES, colors_of

Box = tuple[int, int, int, int]  # x, y, width, height in pixels; x, y is the top left corner
Look = tuple[str, str, str]  # name, colour, size

SINGLE_SHARE = 0.2  # the share of scenes with one object
_COUNTS = (0.4, 0.25, 0.15)  # relative shares of scenes with 2, 3 and 4 objects
_SIZE_SHARES = (0.35, 0.4, 0.25)  # small, medium, large
_NAMESAKE = (
    0.2  # share of further objects that repeat an earlier name, so that a name alone does not identify them
)
_MOST_COVER = 0.45  # of the image's area: the most that the squares around the objects may cover
_MOST_OVERLAP = 0.05  # of the smaller of two boxes
_MARGIN = 0.02  # of the image's side: free at the border
_TRIES = 40


@dataclass(frozen=True)
class SceneObject:
    """One icon of a scene; its box is the tight pixel box of the rendered glyph."""

    name: str
    color: str
    size: str
    box: Box
    glyph_side: int  # pixels: the `long_side` given to `glyph_mask`


@dataclass(frozen=True)
class Background:
    """`kind` is plain, gradient or noise; `colors` are two names of BACKGROUND_COLORS."""

    kind: str
    colors: tuple[str, str]
    angle: float
    seed: int


@dataclass(frozen=True)
class Scene:
    """A square picture with sides of `side` pixels; objects are in the order in which they are painted.

    `distractors` are further shapes, which are painted first and which no text names.
    """

    side: int
    background: Background | Backdrop
    objects: tuple[SceneObject, ...]
    distractors: tuple[SceneObject, ...] = ()


def draw_scene(
    rng: np.random.Generator,
    split: str,
    side: int,
    names: tuple[str, ...] = NAMES,
    single_share: float = SINGLE_SHARE,
) -> Scene:
    """Draw a scene of 1 to 4 of `names` for a split; (name, colour, size) is unique within a scene.

    `single_share` of the scenes have one object; the others have 2, 3 or 4 in constant proportions.
    """
    kind = BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
    first, second = rng.choice(len(BACKGROUND_COLORS), size=2, replace=False)
    palette = tuple(BACKGROUND_COLORS)
    background = Background(
        kind, (palette[first], palette[second]), float(rng.uniform(0, 2 * np.pi)), int(rng.integers(2**31))
    )
    several = (1 - single_share) / sum(_COUNTS)
    count = 1 + int(rng.choice(4, p=(single_share, *(several * share for share in _COUNTS))))
    while True:
        looks = _draw_looks(rng, split, count, names)
        objects = _place(rng, looks, side)
        if objects is not None:
            return Scene(side, background, objects)


def draw_look(rng: np.random.Generator, name: str, split: str) -> Look:
    """Draw a colour in which the split may show the name, and a size."""
    allowed = colors_of(name, split)
    return name, allowed[rng.integers(len(allowed))], tuple(SIZES)[rng.choice(3, p=_SIZE_SHARES)]


def _draw_looks(rng: np.random.Generator, split: str, count: int, names: tuple[str, ...]) -> list[Look]:
    """Draw names, colours and sizes of `count` objects that fit into one picture."""
    while True:
        looks: list[Look] = []
        while len(looks) < count:
            namesake = bool(looks) and rng.random() < _NAMESAKE
            name = looks[rng.integers(len(looks))][0] if namesake else names[rng.integers(len(names))]
            look = draw_look(rng, name, split)
            if look not in looks:
                looks.append(look)
        if sum(SIZES[size][1] ** 2 for _, _, size in looks) <= _MOST_COVER:
            return looks


def _place(rng: np.random.Generator, looks: list[Look], side: int) -> tuple[SceneObject, ...] | None:
    """Draw a place for each object, the largest first; None when an object finds none."""
    placed: dict[int, SceneObject] = {}
    for index in sorted(range(len(looks)), key=lambda i: -SIZES[looks[i][2]][1]):
        thing = find_place(rng, looks[index], side, placed.values())
        if thing is None:
            return None
        placed[index] = thing
    return tuple(placed[index] for index in range(len(looks)))


def find_place(
    rng: np.random.Generator, look: Look, side: int, others: Iterable[SceneObject]
) -> SceneObject | None:
    """Draw a place that hardly overlaps the others, in a picture of `side` pixels; None when some tries find none."""
    name, color, size = look
    margin = round(_MARGIN * side)
    glyph_side = round(rng.uniform(*SIZES[size]) * side)
    height, width = glyph_mask(name, glyph_side).shape
    for _ in range(_TRIES):
        x = int(rng.integers(margin, side - margin - width + 1))
        y = int(rng.integers(margin, side - margin - height + 1))
        box = (x, y, width, height)
        if all(_overlap(box, other.box) <= _MOST_OVERLAP for other in others):
            return SceneObject(name, color, size, box, glyph_side)
    return None


def _overlap(a: Box, b: Box) -> float:
    """Intersection of two boxes as a share of the smaller one."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height) / min(a[2] * a[3], b[2] * b[3])
