"""Writes referring expressions: texts that fit exactly one object of a scene, even in a generous reading."""

from dataclasses import dataclass

import numpy as np

from pipelines.icon_world.relations import center, might_stand, relation
from pipelines.icon_world.scene import Scene, SceneObject
from pipelines.icon_world.vocabulary import SIZES

_MOST_PER_OBJECT = 4
_APART = 0.08  # of the image's side: the least distance of the leftmost centre from the next
_BIGGER = (
    1.2  # the least ratio of the areas of the largest box and the next, besides the difference in size names
)
_RANK = {size: rank for rank, size in enumerate(SIZES)}


@dataclass(frozen=True)
class Referring:
    """`text` fits object number `object` alone; `kind` says what a reader has to understand."""

    text: str
    object: int
    kind: str  # name, color, size, full, superlative, relation


def refer(rng: np.random.Generator, scene: Scene) -> list[Referring]:
    """Draw up to four expressions per object, in the order of the objects; each object has at least one."""
    chosen: list[Referring] = []
    for index in range(len(scene.objects)):
        expressions = [*_by_looks(scene, index), *_superlatives(scene, index), *_by_neighbour(scene, index)]
        if len(expressions) > _MOST_PER_OBJECT:
            picked = rng.choice(len(expressions), size=_MOST_PER_OBJECT, replace=False)
            expressions = [expressions[place] for place in sorted(picked)]
        chosen += expressions
    return chosen


def _descriptions(thing: SceneObject) -> dict[str, str]:
    """Kind -> words, from the fewest words to the most."""
    return {
        "name": thing.name,
        "color": f"{thing.color} {thing.name}",
        "size": f"{thing.size} {thing.name}",
        "full": f"{thing.size} {thing.color} {thing.name}",
    }


def _by_looks(scene: Scene, index: int) -> list[Referring]:
    """Expressions of name, colour and size that fit no other object."""
    words = [_descriptions(thing) for thing in scene.objects]
    return [
        Referring(f"the {text}", index, kind)
        for kind, text in words[index].items()
        if sum(other[kind] == text for other in words) == 1
    ]


def _area(thing: SceneObject) -> int:
    return thing.box[2] * thing.box[3]


def _superlatives(scene: Scene, index: int) -> list[Referring]:
    """Expressions like "the leftmost dog" and "the largest object": among its namesakes, or among all things seen.

    A distractor is an object to who sees it, and never a namesake.
    """
    thing, expressions = scene.objects[index], []
    x, y = center(thing)
    namesakes = [t for i, t in enumerate(scene.objects) if i != index and t.name == thing.name]
    everything = [*(t for i, t in enumerate(scene.objects) if i != index), *scene.distractors]
    for noun, others in ((thing.name, namesakes), ("object", everything)):
        if not others or (noun == "object" and len(others) == len(namesakes)):
            continue
        left = min(center(t)[0] for t in others)
        right = max(center(t)[0] for t in others)
        top = min(center(t)[1] for t in others)
        bottom = max(center(t)[1] for t in others)
        apart, rank = _APART * scene.side, _RANK[thing.size]
        holds = {
            "leftmost": x + apart <= left,
            "rightmost": x - apart >= right,
            "topmost": y + apart <= top,
            "bottommost": y - apart >= bottom,
            "largest": all(_RANK[t.size] < rank and _area(t) * _BIGGER <= _area(thing) for t in others),
            "smallest": all(_RANK[t.size] > rank and _area(thing) * _BIGGER <= _area(t) for t in others),
        }
        expressions += [
            Referring(f"the {word} {noun}", index, "superlative") for word, true in holds.items() if true
        ]
    return expressions


def _by_neighbour(scene: Scene, index: int) -> list[Referring]:
    """Expressions like "the dog to the right of the car": one car, and no other dog on that side of it."""
    thing, expressions = scene.objects[index], []
    words = [_descriptions(other) for other in scene.objects]
    namesakes = [t for i, t in enumerate(scene.objects) if i != index and t.name == thing.name]
    for place, other in enumerate(scene.objects):
        between = relation(scene, index, place) if place != index else None
        unique = [text for kind, text in words[place].items() if sum(w[kind] == text for w in words) == 1]
        if between is None or other.name == thing.name:
            continue
        if not any(might_stand(namesake, between, other) for namesake in namesakes):
            expressions.append(Referring(f"the {thing.name} {between} the {unique[0]}", index, "relation"))
    return expressions
