"""Scenes from JSON in COCO's format, and from RefCOCO's refs that point to it.

- `instances.json` in COCO's format; its images lie in its folder, or in another: a folder of files, or of shards whose
  keys are the files' names without ending;
- referring expressions in RefCOCO's fields as JSON: a list of {image_id, ann_id, split, sentences: [{sent}]} that
  refers to an `instances.json` beside it.
"""

from __future__ import annotations

import json
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fsspec
from PIL import Image

from data_filters.decode import decode
from data_filters.errors import InputError
from data_filters.sample import IMAGE_EXTENSIONS, BrokenSample
from pipelines.shards.reader import read_index, read_members
from pipelines.shards.tar_format import BrokenShard, Member
from pretrain.evaluation.data.samples import find_shards, reason_of
from pretrain.evaluation.data.scene import Expression, Scene, read_objects, sides_swapped

Refs = dict[int, list[tuple[int, str]]]
"""Referring expressions by image id: (annotation id, text)."""


class ImageFiles:
    """Images by file name, from a folder of files or of shards."""

    def __init__(self, folder: str) -> None:
        """Raises InputError when `folder` is no folder."""
        self.folder = folder.rstrip("/")
        self.fs, self.path = fsspec.url_to_fs(self.folder)
        self.members: dict[str, tuple[str, Member]] = {}
        if not self.fs.isdir(self.path):
            raise InputError(f"images is {folder!r}, which is no folder; give one with image files or shards")
        if any(name.endswith(".tar") for name in self.fs.ls(self.path, detail=False)):
            for shard in find_shards(self.folder):
                for member in read_index(shard):
                    if member.extension.lower() in IMAGE_EXTENSIONS:
                        self.members[member.key] = (shard, member)

    def open(self, name: str) -> Image.Image | None:
        """The image of that file name, or None when there is none. Raises BrokenSample, BrokenShard or OSError."""
        file = posixpath.join(self.path, name)
        if self.fs.isfile(file):
            return decode(self.fs.cat_file(file))
        place = self.members.get(posixpath.splitext(posixpath.basename(name))[0])
        if place is None:
            return None
        shard, member = place
        return decode(read_members(shard, [member])[0])


@dataclass
class CocoTables:
    """COCO's tables, joined by id: images, names of categories, annotations and referring expressions by image."""

    images: list[dict[str, Any]]
    names: dict[int, str]
    annotations: dict[int, list[dict[str, Any]]]
    refs: Refs
    files: ImageFiles

    def scenes(self, skipped: Counter[str]) -> Iterator[Scene]:
        """Every image that can be read, as a scene; `skipped` counts the others by reason."""
        for record in self.images:
            try:
                image = self.files.open(record["file_name"])
            except (BrokenSample, BrokenShard, OSError) as error:
                skipped[reason_of(error)] += 1
                continue
            if image is None:
                skipped["no_image"] += 1
                continue
            if sides_swapped(record, *image.size):
                skipped["sides_swapped"] += 1
                continue
            yield self._scene(record, image)

    def _scene(self, record: dict[str, Any], image: Image.Image) -> Scene:
        annotations = self.annotations.get(record["id"], [])
        boxes = [
            {
                **annotation,
                "category": self.names.get(annotation["category_id"], str(annotation["category_id"])),
            }
            for annotation in annotations
        ]
        metadata = {"width": record.get("width"), "height": record.get("height"), "boxes": boxes}
        number = {annotation["id"]: place for place, annotation in enumerate(annotations)}
        expressions = tuple(
            Expression(text, number[annotation])
            for annotation, text in self.refs.get(record["id"], [])
            if annotation in number
        )
        objects = read_objects(metadata, *image.size) or ()
        return Scene(posixpath.splitext(record["file_name"])[0], image, objects, expressions)


def read_coco(data: str, images: str | None = None, split: str | None = None) -> CocoTables:
    """The tables of a JSON file; `images` is the folder of its images, `split` one of RefCOCO's.

    Raises InputError when the file is in neither format or has no such split.
    """
    document = _read_json(data)
    folder = posixpath.dirname(data) or "."
    refs: Refs = {}
    if isinstance(document, list):
        refs = _read_refs(document, data, split)
        document = _read_json(posixpath.join(folder, "instances.json"))
    try:
        records, categories = document["images"], document["categories"]
        annotations: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in document["annotations"]:
            annotations[annotation["image_id"]].append(annotation)
        by_id = sorted(categories, key=lambda category: category["id"])
        names = {category["id"]: category["name"] for category in by_id}
    except (KeyError, TypeError) as error:
        raise InputError(
            f"data {data!r} is not in COCO's format ({error!r}); it has images, annotations and categories"
        ) from error
    if refs:
        records = [record for record in records if record["id"] in refs]
    return CocoTables(records, names, annotations, refs, ImageFiles(images or folder))


def _read_refs(document: list[Any], data: str, split: str | None) -> Refs:
    refs: Refs = defaultdict(list)
    try:
        splits = sorted({str(ref.get("split")) for ref in document})
        if split is not None and split not in splits:
            raise InputError(f"split is {split!r}; {data!r} has {', '.join(splits)}")
        for ref in document:
            if split is None or ref.get("split") == split:
                texts = [sentence.get("sent") or sentence["raw"] for sentence in ref["sentences"]]
                refs[ref["image_id"]] += [(ref["ann_id"], text) for text in texts]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"data {data!r} is a list, but not of {{image_id, ann_id, sentences: [{{sent}}]}} ({error!r}); "
            "give RefCOCO's refs as JSON"
        ) from error
    return refs


# JSON of unknown shape: `read_coco` finds out whether it is COCO's.
def _read_json(uri: str) -> Any:
    try:
        with fsspec.open(uri, "rb") as file:
            return json.load(file)
    except FileNotFoundError:
        raise InputError(f"data is {uri!r}, which is not there; give shards or a COCO-format .json") from None
    except ValueError as error:
        raise InputError(f"data {uri!r} is no JSON ({error}); give shards or a COCO-format .json") from error
