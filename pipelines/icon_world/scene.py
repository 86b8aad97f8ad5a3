"""Draws a scene of the icon world: its objects, their colours, sizes and places, and the background."""

from dataclasses import dataclass

import numpy as np

from pipelines.icon_world.glyphs import glyph_mask
from pipelines.icon_world.vocabulary import BACKGROUND_COLORS, BACKGROUNDS, NAMES, SIZES, colors_of

Box = tuple[int, int, int, int]  # x, y, width, height in pixels; x, y is the top left corner

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
    """A square picture with sides of `side` pixels; objects are in the order in which they are painted."""

    side: int
    background: Background
    objects: tuple[SceneObject, ...]


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


def _draw_looks(
    rng: np.random.Generator, split: str, count: int, names: tuple[str, ...]
) -> list[tuple[str, str, str]]:
    """Draw names, colours and sizes of `count` objects that fit into one picture."""
    while True:
        looks: list[tuple[str, str, str]] = []
        while len(looks) < count:
            namesake = bool(looks) and rng.random() < _NAMESAKE
            name = looks[rng.integers(len(looks))][0] if namesake else names[rng.integers(len(names))]
            allowed = colors_of(name, split)
            look = (name, allowed[rng.integers(len(allowed))], tuple(SIZES)[rng.choice(3, p=_SIZE_SHARES)])
            if look not in looks:
                looks.append(look)
        if sum(SIZES[size][1] ** 2 for _, _, size in looks) <= _MOST_COVER:
            return looks


def _place(
    rng: np.random.Generator, looks: list[tuple[str, str, str]], side: int
) -> tuple[SceneObject, ...] | None:
    """Draw a place for each object, the largest first; None when an object finds none."""
    placed: dict[int, SceneObject] = {}
    margin = round(_MARGIN * side)
    for index in sorted(range(len(looks)), key=lambda i: -SIZES[looks[i][2]][1]):
        name, color, size = looks[index]
        glyph_side = round(rng.uniform(*SIZES[size]) * side)
        height, width = glyph_mask(name, glyph_side).shape
        for _ in range(_TRIES):
            x = int(rng.integers(margin, side - margin - width + 1))
            y = int(rng.integers(margin, side - margin - height + 1))
            box = (x, y, width, height)
            if all(_overlap(box, other.box) <= _MOST_OVERLAP for other in placed.values()):
                placed[index] = SceneObject(name, color, size, box, glyph_side)
                break
        else:
            return None
    return tuple(placed[index] for index in range(len(looks)))


def _overlap(a: Box, b: Box) -> float:
    """Intersection of two boxes as a share of the smaller one."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height) / min(a[2] * a[3], b[2] * b[3])
