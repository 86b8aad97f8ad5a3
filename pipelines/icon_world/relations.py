"""Finds where objects stand, relative to each other and in the picture, when it is clear to see."""

from pipelines.icon_world.scene import Scene, SceneObject

_PLAIN = 0.15  # of the image's side: the least distance of two centres for a relation to be clear
_CONE = 1.3  # the least ratio of the distances along and across the relation


def center(thing: SceneObject) -> tuple[float, float]:
    """The middle of an object's box, in pixels."""
    x, y, width, height = thing.box
    return x + width / 2, y + height / 2


def relation(scene: Scene, subject: int, other: int) -> str | None:
    """The words of the relation in "SUBJECT ... OTHER" ("above"), or None when no relation is clear."""
    (sx, sy), (ox, oy) = center(scene.objects[subject]), center(scene.objects[other])
    across, down = sx - ox, sy - oy
    if abs(across) >= _CONE * abs(down) and abs(across) >= _PLAIN * scene.side:
        return "to the left of" if across < 0 else "to the right of"
    if abs(down) >= _CONE * abs(across) and abs(down) >= _PLAIN * scene.side:
        return "above" if down < 0 else "below"
    return None


def might_stand(subject: SceneObject, words: str, other: SceneObject) -> bool:
    """Whether the relation holds in a generous reading: the centres differ in that direction, however little."""
    (sx, sy), (ox, oy) = center(subject), center(other)
    return {
        "to the left of": sx < ox,
        "to the right of": sx > ox,
        "above": sy < oy,
        "below": sy > oy,
    }[words]


def position(scene: Scene, index: int) -> str | None:
    """The place of an object in the picture ("in the top left corner"), or None when it is between places."""
    x, y = (value / scene.side for value in center(scene.objects[index]))
    left, right, top, bottom = x < 0.36, x > 0.64, y < 0.36, y > 0.64
    across = "left" if left else "right" if right else ""
    down = "top" if top else "bottom" if bottom else ""
    if across and down:
        return f"in the {down} {across} corner"
    if across:
        return f"on the {across}"
    if down:
        return f"at the {down}"
    return "in the middle" if 0.4 < x < 0.6 and 0.4 < y < 0.6 else None
