"""A stream of images with known objects and referring expressions, from shards or from JSON in COCO's format.

- shards, `KEY.json`: `objects` [{name, box}] and `referring` [{text, object}] (the icon world), or `boxes`
  [{bbox, category, iscrowd}]; boxes are [left, top, width, height] in px;
- a `.json` file: `coco_scenes.py`.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator

from data_filters.errors import InputError
from data_filters.sample import BrokenSample
from pretrain.evaluation.data.coco_scenes import CocoScenes, ImageFiles
from pretrain.evaluation.data.coco_tables import read_tables
from pretrain.evaluation.data.foreign_json import text_of, whole_number_of
from pretrain.evaluation.data.known_objects import KnownObjects, object_names, read_objects
from pretrain.evaluation.data.samples import Picture, SampleStream, find_shards, iterate_metadata
from pretrain.evaluation.data.scene import Expression, Scene


class SceneStream:
    """Yields scenes in a fixed order; `skipped` counts by reason what is passed over.

    Images without boxes (`no_boxes`) or unreadable; objects without a usable box or name
    (`known_objects.KnownObjects`); expressions that are no text with the number of an object (`broken_expression`), of
    an object that is not there (`unknown_object`) or has no usable box (`no_target`). For COCO's format see
    `coco_scenes.CocoScenes`.
    """

    def __init__(self, data: str, *, images: str | None = None, split: str | None = None) -> None:
        """`images` and `split` (of RefCOCO) go with JSON only.

        Raises InputError when there is nothing to read, or an option is given that the kind of data has no use for.
        """
        self.data, self.skipped = data, Counter[str]()
        self._coco: CocoScenes | None = None
        self.shards: list[str] = []
        if data.lower().endswith(".json"):
            self._coco = CocoScenes(
                read_tables(data, split), ImageFiles(images or posixpath.dirname(data) or ".")
            )
            return
        for name, value in {"images": images, "split": split}.items():
            if value is not None:
                raise InputError(
                    f"{name} is {value!r}, but data {data!r} are shards, which have no use for it; leave it out, or "
                    "give a COCO-format .json as data"
                )
        self.shards = find_shards(data)

    def names(self) -> list[str]:
        """All object names, each once, sorted (COCO's format: in order of their ids); of shards only the JSON is read.

        Raises InputError when there is none.
        """
        names = (
            dict.fromkeys(self._coco.tables.names.values())
            if self._coco
            else {name for metadata in iterate_metadata(self.shards) for name in object_names(metadata)}
        )
        if not names:
            raise InputError(
                f"data {self.data!r} names no object; "
                "give shards whose JSON has objects or boxes, or a COCO-format .json with categories"
            )
        return list(names) if self._coco else sorted(names)

    def __iter__(self) -> Iterator[Scene]:
        if self._coco:
            yield from self._coco.scenes(self.skipped)
            return
        for picture in SampleStream(self.data, captioned=False, skipped=self.skipped):
            try:
                known = read_objects(picture.metadata, *picture.image.size)
            except BrokenSample as broken:
                self.skipped[broken.reason] += 1
                continue
            if known is None:
                self.skipped["no_boxes"] += 1
                continue
            self.skipped.update(known.unusable)
            expressions = tuple(self._expressions(picture, known))
            yield Scene(picture.key, picture.image, known.objects, expressions)

    def _expressions(self, picture: Picture, known: KnownObjects) -> Iterator[Expression]:
        referring = picture.metadata.get("referring") or []
        for entry in referring if isinstance(referring, list) else [referring]:
            given = entry if isinstance(entry, dict) else {}
            text, number = text_of(given.get("text")), whole_number_of(given.get("object"))
            if text is None or number is None:
                self.skipped["broken_expression"] += 1
            elif number not in known.places:
                listed = len(known.objects) + known.unusable.total()
                self.skipped["no_target" if 0 <= number < listed else "unknown_object"] += 1
            else:
                yield Expression(text, known.places[number], text_of(given.get("kind")))
