"""Plants the flaws of a raw corpus that curation should find, in known numbers, and records each.

Every hundred training pairs contain the same number of each flaw, at places drawn from the seed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipelines.icon_world.caption import Caption, compose_caption
from pipelines.icon_world.foreign import foreign_caption
from pipelines.icon_world.render import encode_jpeg, paint, paint_background, resize
from pipelines.icon_world.sample import DAMAGE, FLAW, World, sample_key
from pipelines.icon_world.scene import Scene

BLOCK = 100
FLAWS_PER_BLOCK: dict[str, int] = {
    "broken_image": 1,  # random bytes
    "truncated_image": 1,  # the header whole, the rest cut off
    "tiny_image": 1,  # sides of 24 to 64 pixels
    "extreme_aspect": 1,  # eleven times as long as wide, or as wide as long
    "undecodable_caption": 1,  # Latin-1 bytes that are no UTF-8
    "short_caption": 1,  # one or two words
    "long_caption": 1,  # more than 100 words
    "foreign_caption": 2,  # detail: the language
    "duplicate_caption": 2,  # the caption of an earlier pair; detail: duplicate_of=KEY
    "test_image_copy": 2,  # a re-encoded image of the test split; detail: copy_of=KEY
    "shuffled_caption": 4,  # the caption of another scene, no object in common; detail: caption_of=KEY
}
REPEATED = "repeated_caption"  # not planted: two scenes got the same words by chance


@dataclass(frozen=True)
class Flaw:
    """A flaw of one training pair; `source` is the index of the pair whose caption or image it takes."""

    kind: str
    source: int | None = None


@lru_cache(maxsize=8)
def plan_flaws(world: World, block: int) -> dict[int, Flaw]:
    """Draw which pairs of a block of a hundred have which flaw; returns index -> flaw."""
    first = block * BLOCK
    rng = world.rng("train", first, FLAW)
    order = [first + int(place) for place in rng.permutation(BLOCK)]
    plan: dict[int, Flaw] = {}

    circle: list[int] = []
    names: set[str] = set()
    for index in order:
        scene_names = {thing.name for thing in world.scene("train", index).objects}
        if not scene_names & names:
            circle, names = [*circle, index], names | scene_names
        if len(circle) == FLAWS_PER_BLOCK["shuffled_caption"]:
            break
    for place, index in enumerate(circle):
        plan[index] = Flaw("shuffled_caption", circle[place - 1])

    free = [index for index in order if index not in plan]
    for kind, count in FLAWS_PER_BLOCK.items():
        for _ in range(0 if kind in ("shuffled_caption", "duplicate_caption") else count):
            copied = int(rng.integers(world.test_pairs)) if kind == "test_image_copy" else None
            plan[free.pop()] = Flaw(kind, copied)

    # A duplicate comes after its original, so that every world with the duplicate has the original.
    clean = sorted(free)
    for _ in range(FLAWS_PER_BLOCK["duplicate_caption"]):
        late = clean.pop(int(rng.integers(len(clean) // 2, len(clean))))
        plan[late] = Flaw("duplicate_caption", clean[int(rng.integers(len(clean) // 2))])
    return plan


def flawed_members(world: World, index: int, flaw: Flaw) -> tuple[dict[str, bytes], str]:
    """Make the members of a flawed training pair (extension -> bytes) and the detail for the ground truth."""
    rng = world.rng("train", index, DAMAGE)
    scene, detail = world.scene("train", index), ""
    caption = world.caption("train", index, scene)
    if flaw.kind == "test_image_copy":
        assert flaw.source is not None
        scene, detail = world.scene("test", flaw.source), f"copy_of={sample_key('test', flaw.source)}"
        caption = compose_caption(rng, scene)
    elif flaw.kind in ("duplicate_caption", "shuffled_caption"):
        assert flaw.source is not None
        relation = "duplicate_of" if flaw.kind == "duplicate_caption" else "caption_of"
        caption = Caption(world.caption("train", flaw.source, world.scene("train", flaw.source)).text)
        detail = f"{relation}={sample_key('train', flaw.source)}"
    elif flaw.kind == "short_caption":
        thing = scene.objects[0]
        noun = thing.name.split()[-1]
        caption = Caption(noun if rng.random() < 0.3 else f"{thing.color} {noun}")
    elif flaw.kind == "long_caption":
        caption = _lengthen(rng, scene, caption)
    elif flaw.kind == "foreign_caption":
        text, detail = foreign_caption(rng)
        caption = Caption(text)
    metadata = world.metadata("train", index, scene, caption)
    image, metadata = _flawed_image(rng, scene, flaw.kind, metadata)
    words = caption.text.encode()
    if flaw.kind == "undecodable_caption":
        words = f"{caption.text} à côté d'un café".encode("latin-1")
        del metadata["caption"]
        metadata |= {"mentions": [], "relations": []}
    return {"jpg": image, "json": json.dumps(metadata).encode(), "txt": words}, detail


def _lengthen(rng: np.random.Generator, scene: Scene, caption: Caption) -> Caption:
    """Append sentences as in a long sales text until the caption has more than a hundred words."""
    wanted = int(rng.integers(105, 160))
    longer = Caption(caption.text, list(caption.mentions), list(caption.relations))
    while len(longer.text.split()) < wanted:
        thing = scene.objects[rng.integers(len(scene.objects))]
        longer.say(
            (
                f". the {thing.name} that you can see here is {thing.color} and its size is {thing.size}",
                f". we like the {thing.color} {thing.name} because it is so easy to recognise",
                f". please look at the {thing.name} once more and notice its {thing.color} color",
                f". this picture with the {thing.size} {thing.name} is free for everyone to look at",
            )[rng.integers(4)]
        )
    return longer


def _flawed_image(
    rng: np.random.Generator, scene: Scene, kind: str, metadata: dict[str, object]
) -> tuple[bytes, dict[str, object]]:
    """Make the image of a flawed pair, and its metadata with the size and boxes of that image."""
    pixels, side = paint(scene), scene.side
    if kind == "tiny_image":
        small = int(rng.integers(24, 65))
        return encode_jpeg(resize(pixels, small, small)), _moved(metadata, small, small, small / side, (0, 0))
    if kind == "extreme_aspect":
        return _panorama(rng, scene, metadata)
    if kind == "test_image_copy":
        smaller = round(side * rng.uniform(0.92, 1.0))
        copy = encode_jpeg(resize(pixels, smaller, smaller), quality=int(rng.integers(55, 80)))
        return copy, _moved(metadata, smaller, smaller, smaller / side, (0, 0))
    image = encode_jpeg(pixels)
    if kind == "broken_image":
        image = rng.bytes(len(image))
    if kind == "truncated_image":
        image = image[: int(len(image) * rng.uniform(0.5, 0.8))]
    return image, metadata


def _panorama(
    rng: np.random.Generator, scene: Scene, metadata: dict[str, object]
) -> tuple[bytes, dict[str, object]]:
    """Put the scene into a row or column of eleven tiles; the others show its background, every second mirrored."""
    tiles, side = 11, scene.side
    wide, place = bool(rng.random() < 0.5), int(rng.integers(tiles))
    empty = paint_background(scene.background, side)
    axis = 1 if wide else 0
    row = [empty if abs(tile - place) % 2 == 0 else np.flip(empty, axis) for tile in range(tiles)]
    row[place] = paint(scene)
    pixels = np.concatenate(row, axis)
    shift = (place * side, 0) if wide else (0, place * side)
    height, width = pixels.shape[:2]
    return encode_jpeg(pixels), _moved(metadata, width, height, 1.0, shift)


def _moved(
    metadata: dict[str, object], width: int, height: int, scale: float, shift: tuple[int, int]
) -> dict[str, object]:
    """Adapt the metadata to an image of another size: boxes scaled (to 0.01 pixel), then shifted, in pixels."""
    moved: dict[str, object] = {**metadata, "width": width, "height": height}
    for listed in {"objects", "distractors"} & metadata.keys():
        things = metadata[listed]
        assert isinstance(things, list)
        boxes = [[round(value * scale, 2) for value in thing["box"]] for thing in things]
        moved[listed] = [
            {**thing, "box": [x + shift[0], y + shift[1], w, h]}
            for thing, (x, y, w, h) in zip(things, boxes, strict=True)
        ]
    return moved
