"""Scenes from JSON in COCO's format, and from RefCOCO's refs that point to it.

- `instances.json` in COCO's format; its images lie in its folder, or in another: a folder of files, or of shards whose
  keys are the files' names without ending;
- referring expressions in RefCOCO's fields as JSON: a list of {image_id, ann_id, split, sentences: [{sent}]} that
  refers to an `instances.json` beside it.

What is read of the JSON, and what is refused, stands in `coco_tables.py`.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator

from PIL import Image

from data_filters.decode import decode
from data_filters.errors import InputError
from data_filters.sample import IMAGE_EXTENSIONS, BrokenSample
from pipelines.common.files import filesystem
from pipelines.shards.reader import read_members
from pipelines.shards.tar_format import BrokenShard, Member
from pretrain.evaluation.data.coco_tables import CocoTables, Entry, Id
from pretrain.evaluation.data.foreign_json import identity_of, text_of
from pretrain.evaluation.data.known_objects import read_objects
from pretrain.evaluation.data.samples import find_shards, reason_of
from pretrain.evaluation.data.scene import Expression, Scene
from pretrain.evaluation.data.shard_samples import members_of


class ImageFiles:
    """Images by file name, from a folder of files or of shards."""

    def __init__(self, folder: str) -> None:
        """Raises InputError when `folder` is no folder."""
        self.folder = folder.rstrip("/")
        self.fs, self.path = filesystem(self.folder)
        self.members: dict[str, tuple[str, Member] | None] = {}
        """Images in shards by the last part of their key; None where several images share it."""
        if not self.fs.isdir(self.path):
            raise InputError(f"images is {folder!r}, which is no folder; give one with image files or shards")
        if any(name.endswith(".tar") for name in self.fs.ls(self.path, detail=False)):
            for shard in find_shards(self.folder):
                for member in members_of(shard):
                    if member.extension.lower() in IMAGE_EXTENSIONS:
                        stem = posixpath.basename(member.key)
                        self.members[stem] = None if stem in self.members else (shard, member)

    def open(self, name: str) -> Image.Image:
        """The image of that file name, upright.

        Raises BrokenSample: `no_image`, `unsafe_name` for a name that leads out of the folder, `ambiguous_image` where
        shards hold several of that name, and as decoding does; BrokenShard or OSError where it cannot be read.
        """
        if name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise BrokenSample("unsafe_name", f"file_name is {name!r}, which leads out of {self.folder!r}")
        file = posixpath.join(self.path, name)
        if self.fs.isfile(file):
            return decode(self.fs.cat_file(file))
        stem = posixpath.splitext(posixpath.basename(name))[0]
        place = self.members.get(stem)
        if place is None:
            if stem in self.members:
                raise BrokenSample("ambiguous_image", f"several images have the key {stem!r}")
            raise BrokenSample("no_image", f"file_name is {name!r}, which is not in {self.folder!r}")
        shard, member = place
        return decode(read_members(shard, [member])[0])


class CocoScenes:
    """The scenes of COCO's tables, in the order of the file; `skipped` counts by reason what is passed over.

    Images: `no_image`, `unsafe_name`, `ambiguous_image`, `no_file_name`, `broken_size`, and what `decode` raises.
    Objects: see `known_objects.KnownObjects`. Expressions: `unknown_annotation`, and `no_target`, whose object has no
    usable box.
    Either: `unknown_image`, which the file does not list.
    """

    def __init__(self, tables: CocoTables, files: ImageFiles) -> None:
        self.tables, self.files = tables, files

    def scenes(self, skipped: Counter[str]) -> Iterator[Scene]:
        """Every image that can be read, as a scene."""
        skipped.update(self.tables.unusable)
        for identity, record in self.tables.images.items():
            try:
                name = text_of(record.get("file_name"))
                if name is None:
                    raise BrokenSample("no_file_name", f"image {identity!r} has no file_name")
                image = self.files.open(name)
                scene, unusable = self._scene(identity, record, name, image)
            except (BrokenSample, BrokenShard, OSError) as error:
                skipped[reason_of(error)] += 1
                continue
            skipped.update(unusable)
            yield scene

    def _scene(
        self, identity: Id, record: Entry, name: str, image: Image.Image
    ) -> tuple[Scene, Counter[str]]:
        """The scene, and by reason its objects and expressions that are left out."""
        annotations = self.tables.annotations.get(identity, [])
        boxes = [{**annotation, "category": self._name_of(annotation)} for annotation in annotations]
        known = read_objects(
            {"width": record.get("width"), "height": record.get("height"), "boxes": boxes}, *image.size
        )
        assert known is not None
        unusable = Counter[str]()
        if self.tables.references is None:
            unusable.update(known.unusable)
        numbers = {identity_of(annotation.get("id")): number for number, annotation in enumerate(annotations)}
        expressions = []
        for reference in (self.tables.references or {}).get(identity, ()):
            number = numbers.get(reference.annotation)
            place = None if number is None else known.places.get(number)
            if place is None:
                unusable["unknown_annotation" if number is None else "no_target"] += 1
            else:
                expressions.append(Expression(reference.text, place))
        return Scene(posixpath.splitext(name)[0], image, known.objects, tuple(expressions)), unusable

    def _name_of(self, annotation: Entry) -> object:
        """The category's name; where none is needed (referring expressions) and none is known, its id."""
        category = identity_of(annotation.get("category_id"))
        if category is None:
            return "object"
        return self.tables.names.get(category, str(category))
