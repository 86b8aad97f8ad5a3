"""Draws shapes that nothing names into the room that the objects of a scene leave."""

import numpy as np

from pipelines.icon_world.scene import Scene, SceneObject, draw_look, find_place
from pipelines.icon_world.vocabulary import NAMES

MOST_DISTRACTORS = 6
_LOOKS = 10  # drawn for a distractor until one finds a place


def unnamed_glyphs(names: tuple[str, ...]) -> tuple[str, ...]:
    """The glyphs of the whole vocabulary that a world with these names does not name."""
    named = set(names)
    return tuple(name for name in NAMES if name not in named)


def draw_distractors(
    rng: np.random.Generator, split: str, scene: Scene, glyphs: tuple[str, ...], most: int
) -> tuple[SceneObject, ...]:
    """Draw 0 to `most` shapes of `glyphs`, each number equally often, beside the objects of a scene.

    Colours, sizes and overlaps follow the rules for objects. A shape that finds no place in a crowded scene is drawn
    anew, so that small ones are more frequent there, and in the end it is left out: one in 200 where `most` is 4, one
    in 50 where it is 6.
    """
    drawn: list[SceneObject] = []
    for _ in range(rng.integers(most + 1)):
        for _ in range(_LOOKS):
            look = draw_look(rng, glyphs[rng.integers(len(glyphs))], split)
            shape = find_place(rng, look, scene.side, (*scene.objects, *drawn))
            if shape is not None:
                drawn.append(shape)
                break
    return tuple(drawn)
