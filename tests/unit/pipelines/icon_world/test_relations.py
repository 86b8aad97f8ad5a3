"""Relations and places by hand, on scenes of 100 pixels."""

import pytest

from pipelines.icon_world.relations import center, might_stand, position, relation
from pipelines.icon_world.scene import Background, Scene, SceneObject

BACKGROUND = Background("plain", ("white", "grey"), 0.0, 0)


def scene(*centers: tuple[int, int]) -> Scene:
    """Objects of 10 x 10 pixels with these centres."""
    objects = tuple(SceneObject("cat", "red", "small", (x - 5, y - 5, 10, 10), 10) for x, y in centers)
    return Scene(100, BACKGROUND, objects)


@pytest.mark.parametrize(
    ("subject", "other", "words"),
    [
        ((20, 50), (60, 50), "to the left of"),
        ((60, 50), (20, 50), "to the right of"),
        ((50, 20), (50, 60), "above"),
        ((50, 60), (50, 20), "below"),
        ((50, 50), (64, 50), None),  # nearer than 15 pixels
        ((50, 50), (65, 50), "to the left of"),
        ((20, 20), (60, 60), None),  # neither along nor across
        ((20, 20), (46, 40), "to the left of"),  # 26 along, 20 across: the ratio is 1.3
        ((20, 20), (45, 40), None),
    ],
)
def test_relations(subject, other, words):
    drawn = scene(subject, other)
    assert relation(drawn, 0, 1) == words
    if words:
        assert might_stand(drawn.objects[0], words, drawn.objects[1])
        opposite = relation(drawn, 1, 0)
        assert opposite not in (None, words)
        assert not might_stand(drawn.objects[0], opposite, drawn.objects[1])


def test_a_generous_reading_needs_one_pixel():
    drawn = scene((50, 50), (51, 90))
    assert might_stand(drawn.objects[0], "to the left of", drawn.objects[1])
    assert not might_stand(drawn.objects[0], "to the right of", drawn.objects[1])


@pytest.mark.parametrize(
    ("middle", "words"),
    [
        ((10, 10), "in the top left corner"),
        ((90, 90), "in the bottom right corner"),
        ((10, 50), "on the left"),
        ((90, 50), "on the right"),
        ((50, 10), "at the top"),
        ((50, 90), "at the bottom"),
        ((50, 50), "in the middle"),
        ((38, 50), None),
    ],
)
def test_places(middle, words):
    drawn = scene(middle)
    assert center(drawn.objects[0]) == middle
    assert position(drawn, 0) == words
