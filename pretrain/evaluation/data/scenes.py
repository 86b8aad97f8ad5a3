"""A stream of images with known objects and referring expressions, from shards or from JSON in COCO's format.

- shards, `KEY.json`: `objects` [{name, box}] and `referring` [{text, object}] (the icon world), or `boxes`
  [{bbox, category, iscrowd}]; boxes are [left, top, width, height] in px;
- a `.json` file: `coco_scenes.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from data_filters.errors import InputError
from pretrain.evaluation.data.coco_scenes import read_coco
from pretrain.evaluation.data.samples import Picture, SampleStream, find_shards, iterate_metadata
from pretrain.evaluation.data.scene import Expression, Scene, read_objects, sides_swapped


class SceneStream:
    """Yields scenes in a fixed order; `skipped` counts by reason those without boxes or unreadable."""

    def __init__(self, data: str, *, images: str | None = None, split: str | None = None) -> None:
        """`images` and `split` (of RefCOCO) go with JSON only. Raises InputError when there is nothing to read."""
        self.data, self.skipped = data, Counter[str]()
        self._coco = read_coco(data, images, split) if data.endswith(".json") else None
        self.shards = [] if self._coco else find_shards(data)

    def names(self) -> list[str]:
        """All object names, sorted (COCO's format: in order of their ids); of shards only the JSON is read.

        Raises InputError when there is none.
        """
        if self._coco:
            return list(self._coco.names.values())
        names = {
            true_object.name
            for metadata in iterate_metadata(self.shards)
            for true_object in read_objects(metadata, 1, 1) or ()
        }
        if not names:
            raise InputError(
                f"data {self.data!r} names no object; "
                "give shards whose JSON has objects or boxes, or a COCO-format .json"
            )
        return sorted(names)

    def __iter__(self) -> Iterator[Scene]:
        if self._coco:
            yield from self._coco.scenes(self.skipped)
            return
        stream = SampleStream(self.data, captioned=False)
        for picture in stream:
            scene = read_scene(picture)
            if scene is None:
                swapped = sides_swapped(picture.metadata, *picture.image.size)
                self.skipped["sides_swapped" if swapped else "no_boxes"] += 1
            else:
                yield scene
        self.skipped.update(stream.skipped)


def read_scene(picture: Picture) -> Scene | None:
    """The scene of a sample, or None where its objects were never annotated."""
    objects = read_objects(picture.metadata, *picture.image.size)
    if objects is None:
        return None
    referring = picture.metadata.get("referring") or ()
    expressions = tuple(
        Expression(str(entry["text"]), int(entry["object"]), entry.get("kind")) for entry in referring
    )
    return Scene(picture.key, picture.image, objects, expressions)
