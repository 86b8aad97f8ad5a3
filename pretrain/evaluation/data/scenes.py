"""Images with known objects and expressions that refer to them, from shards or from JSON in COCO's format.

- shards, `KEY.json`: `objects` [{name, box}] and `referring` [{text, object}] (the icon world), or `boxes`
  [{bbox, category, iscrowd}]; boxes are [left, top, width, height] in px;
- `instances.json` in COCO's format; its images lie in its folder, or in `images`: a folder of files or of shards
  whose keys are the files' names without ending;
- referring expressions in RefCOCO's fields as JSON: a list of {image_id, ann_id, split, sentences: [{sent}]} that
  refers to an `instances.json` beside it.
"""

from __future__ import annotations

import json
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import fsspec
from PIL import Image

from data_filters.errors import InputError
from data_filters.sample import IMAGE_EXTENSIONS
from pipelines.shards.reader import read_index, read_members
from pipelines.shards.tar_format import Member
from pretrain.data.samples.images import decode
from pretrain.evaluation.data.samples import Picture, SampleStream, find_shards

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class TrueObject:
    """`box` is (left, top, width, height) in px of the scene's image; a crowd is many at once (COCO)."""

    name: str
    box: Box
    crowd: bool = False


@dataclass(frozen=True)
class Expression:
    """`text` means object number `target`; `kind` is what it takes to understand it, where the data says so."""

    text: str
    target: int
    kind: str | None = None


@dataclass(frozen=True)
class Scene:
    """One image and what is known of it."""

    key: str
    image: Image.Image
    objects: tuple[TrueObject, ...]
    expressions: tuple[Expression, ...]


class SceneStream:
    """Iterating yields scenes in a fixed order; what has no boxes or cannot be read is counted in `skipped`."""

    def __init__(self, data: str, *, images: str | None = None, split: str | None = None) -> None:
        """`images` and `split` (of RefCOCO) go with JSON only. Raises InputError when there is nothing to read."""
        self.data, self.skipped = data, Counter[str]()
        self._coco = _read_coco(data, images, split) if data.endswith(".json") else None
        self.shards = [] if self._coco else find_shards(data)

    def names(self) -> list[str]:
        """All object names, sorted (COCO's format: in order of their ids); of shards only the JSON is read."""
        if self._coco:
            return list(self._coco.names.values())
        found: set[str] = set()
        for shard in self.shards:
            members = [member for member in read_index(shard) if member.extension == "json"]
            for text in read_members(shard, members):
                found |= {one.name for one in _objects(_parse(text), 1, 1) or ()}
        if not found:
            raise InputError(
                f"data {self.data!r} names no object; "
                "give shards whose JSON has objects or boxes, or a COCO-format .json"
            )
        return sorted(found)

    def __iter__(self) -> Iterator[Scene]:
        if self._coco:
            yield from self._coco.scenes(self.skipped)
            return
        stream = SampleStream(self.data, captioned=False)
        for picture in stream:
            scene = _scene(picture)
            if scene is None:
                self.skipped["no_boxes"] += 1
            else:
                yield scene
        self.skipped.update(stream.skipped)


def _scene(picture: Picture) -> Scene | None:
    objects = _objects(picture.metadata, *picture.image.size)
    if objects is None:
        return None
    said = picture.metadata.get("referring") or ()
    expressions = tuple(Expression(str(one["text"]), int(one["object"]), one.get("kind")) for one in said)
    return Scene(picture.key, picture.image, objects, expressions)


def _objects(metadata: Mapping[str, Any], width: int, height: int) -> tuple[TrueObject, ...] | None:
    """None where boxes were never annotated, which is not the same as an image without objects."""
    across, down = width / (metadata.get("width") or width), height / (metadata.get("height") or height)
    if isinstance(metadata.get("objects"), list):
        listed = [(one["name"], one["box"], False) for one in metadata["objects"]]
    elif isinstance(metadata.get("boxes"), list):
        listed = [(one["category"], one["bbox"], bool(one.get("iscrowd"))) for one in metadata["boxes"]]
    else:
        return None
    return tuple(
        TrueObject(str(name), (box[0] * across, box[1] * down, box[2] * across, box[3] * down), crowd)
        for name, box, crowd in listed
    )


def _parse(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@dataclass
class _Coco:
    """COCO's tables, joined by id."""

    images: list[dict[str, Any]]
    names: dict[int, str]
    annotations: dict[int, list[dict[str, Any]]]  # by image
    said: dict[int, list[tuple[int, str]]]  # by image: (annotation, text)
    files: _Files

    def scenes(self, skipped: Counter[str]) -> Iterator[Scene]:
        for record in self.images:
            try:
                image = self.files.open(record["file_name"])
            except (ValueError, OSError, SyntaxError, Image.DecompressionBombError):
                skipped["broken_image"] += 1
                continue
            if image is None:
                skipped["no_image"] += 1
                continue
            own = self.annotations.get(record["id"], [])
            metadata = {
                "width": record.get("width"),
                "height": record.get("height"),
                "boxes": [
                    {**one, "category": self.names.get(one["category_id"], str(one["category_id"]))}
                    for one in own
                ],
            }
            place = {one["id"]: number for number, one in enumerate(own)}
            expressions = tuple(
                Expression(text, place[annotation])
                for annotation, text in self.said.get(record["id"], [])
                if annotation in place
            )
            objects = _objects(metadata, *image.size) or ()
            yield Scene(posixpath.splitext(record["file_name"])[0], image, objects, expressions)


class _Files:
    """Images by file name, from a folder or from shards."""

    def __init__(self, folder: str) -> None:
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
        """None when there is no such image."""
        file = posixpath.join(self.path, name)
        if self.fs.isfile(file):
            return decode(self.fs.cat_file(file))
        found = self.members.get(posixpath.splitext(posixpath.basename(name))[0])
        return decode(read_members(found[0], [found[1]])[0]) if found else None


def _read_coco(data: str, images: str | None, split: str | None) -> _Coco:
    document = _read_json(data)
    folder = posixpath.dirname(data) or "."
    said: dict[int, list[tuple[int, str]]] = defaultdict(list)
    if isinstance(document, list):
        instances = posixpath.join(folder, "instances.json")
        splits = sorted({str(one.get("split")) for one in document})
        if split is not None and split not in splits:
            raise InputError(f"split is {split!r}; {data!r} has {', '.join(splits)}")
        try:
            for one in document:
                if split is None or one.get("split") == split:
                    texts = [sentence.get("sent") or sentence["raw"] for sentence in one["sentences"]]
                    said[one["image_id"]] += [(one["ann_id"], text) for text in texts]
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"data {data!r} is a list, but not of {{image_id, ann_id, sentences: [{{sent}}]}} ({error!r}); "
                "give RefCOCO's refs as JSON"
            ) from error
        document = _read_json(instances)
    try:
        records, categories = document["images"], document["categories"]
        annotations: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for one in document["annotations"]:
            annotations[one["image_id"]].append(one)
        names = {one["id"]: one["name"] for one in sorted(categories, key=lambda one: one["id"])}
    except (KeyError, TypeError) as error:
        raise InputError(
            f"data {data!r} is not in COCO's format ({error!r}); it has images, annotations and categories"
        ) from error
    if said:
        records = [record for record in records if record["id"] in said]
    return _Coco(records, names, annotations, said, _Files(images or folder))


def _read_json(uri: str) -> Any:
    try:
        with fsspec.open(uri, "rb") as file:
            return json.load(file)
    except FileNotFoundError:
        raise InputError(f"data is {uri!r}, which is not there; give shards or a COCO-format .json") from None
    except ValueError as error:
        raise InputError(f"data {uri!r} is no JSON ({error}); give shards or a COCO-format .json") from error
