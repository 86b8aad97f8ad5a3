"""Images with one class each: folders by class, or shards.

- folders: DATA/CLASS/*.jpg (or png, jpeg, webp), the folder's name is the class;
- shards: `KEY.json` with `class` (a name, or a number into `classes`), or one single object in `objects`.
"""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fsspec
from PIL import Image

from data_filters.errors import InputError
from data_filters.sample import IMAGE_EXTENSIONS
from pipelines.shards.reader import read_index, read_members
from pretrain.data.samples.images import decode
from pretrain.evaluation.data.samples import SampleStream, find_shards


@dataclass(frozen=True)
class Labelled:
    """One image and its class's place in `LabelledStream.names`."""

    key: str
    image: Image.Image
    label: int


class LabelledStream:
    """Iterating yields labelled images in a fixed order; what has no class or cannot be read is in `skipped`."""

    def __init__(self, data: str, classes: str | None = None) -> None:
        """`classes`: a JSON file, {class as the data has it: name}, or a list of names for classes that are numbers.

        Raises InputError when there is nothing to read.
        """
        self.data, self.skipped = data, Counter[str]()
        self._called = _read_classes(classes)
        self.folders = _class_folders(data)
        self._own = list(self.folders) if self.folders else _classes_of_shards(data)
        if not self._own:
            raise InputError(
                f"data {data!r} names no class; give folders of images by class, or shards whose JSON has `class` or "
                "a single object"
            )
        self._place = {name: place for place, name in enumerate(self._own)}

    @property
    def names(self) -> list[str]:
        """The classes' names, sorted as the data has them."""
        return [self._name(own) for own in self._own]

    def __iter__(self) -> Iterator[Labelled]:
        yield from self._from_folders() if self.folders else self._from_shards()

    def _name(self, own: str) -> str:
        if isinstance(self._called, list) and own.isdigit() and int(own) < len(self._called):
            return self._called[int(own)]
        if isinstance(self._called, dict):
            return self._called.get(own, own)
        return own.replace("_", " ")

    def _from_folders(self) -> Iterator[Labelled]:
        fs, path = fsspec.url_to_fs(self.data)
        for own, files in self.folders.items():
            for file in files:
                try:
                    image = decode(fs.cat_file(posixpath.join(path, own, file)))
                except (ValueError, OSError, SyntaxError, Image.DecompressionBombError):
                    self.skipped["broken_image"] += 1
                    continue
                yield Labelled(f"{own}/{file}", image, self._place[own])

    def _from_shards(self) -> Iterator[Labelled]:
        stream = SampleStream(self.data, captioned=False)
        for picture in stream:
            own = class_of(picture.metadata)
            if own is None:
                self.skipped["no_class"] += 1
            else:
                yield Labelled(picture.key, picture.image, self._place[own])
        self.skipped.update(stream.skipped)


def class_of(metadata: dict[str, Any]) -> str | None:
    """The class that a sample's JSON names, or None: several objects are no class."""
    own = metadata.get("class")
    if isinstance(own, str | int) and not isinstance(own, bool):
        return str(own)
    objects = metadata.get("objects")
    if isinstance(objects, list) and len(objects) == 1 and isinstance(objects[0], dict):
        return objects[0].get("name")
    return None


def _class_folders(data: str) -> dict[str, list[str]]:
    """{class: its image files}, sorted; empty when `data` holds no folders of images."""
    fs, path = fsspec.url_to_fs(data)
    if not fs.isdir(path):
        return {}
    found = {}
    for folder in sorted(fs.ls(path, detail=False)):
        if not fs.isdir(folder):
            continue
        names = sorted(posixpath.basename(name) for name in fs.ls(folder, detail=False))
        images = [name for name in names if name.lower().rsplit(".", 1)[-1] in IMAGE_EXTENSIONS]
        if images:
            found[posixpath.basename(folder.rstrip("/"))] = images
    return found


def _classes_of_shards(data: str) -> list[str]:
    """All classes of the shards' JSON; the images are not read."""
    found: set[str] = set()
    for shard in find_shards(data):
        members = [member for member in read_index(shard) if member.extension == "json"]
        for text in read_members(shard, members):
            try:
                metadata = json.loads(text)
            except ValueError:
                continue
            own = class_of(metadata) if isinstance(metadata, dict) else None
            if own is not None:
                found.add(own)
    return sorted(found, key=lambda own: (not own.isdigit(), int(own) if own.isdigit() else 0, own))


def _read_classes(classes: str | None) -> dict[str, str] | list[str] | None:
    if classes is None:
        return None
    try:
        with fsspec.open(classes, "rb") as file:
            value = json.load(file)
    except (OSError, ValueError) as error:
        raise InputError(
            f"classes is {classes!r}, which cannot be read ({error}); give a JSON file with {{class: name}} or a list"
        ) from error
    if not isinstance(value, dict | list):
        raise InputError(
            f"classes {classes!r} is a {type(value).__name__}; give {{class: name}} or a list of names"
        )
    return value
