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

from data_filters.decode import decode
from data_filters.errors import InputError
from data_filters.sample import IMAGE_EXTENSIONS, BrokenSample
from pretrain.evaluation.data.samples import SampleStream, find_shards, iterate_metadata, reason_of


@dataclass(frozen=True)
class LabelledImage:
    """One image; `label` is the place of its class in `LabelledStream.names`."""

    key: str
    image: Image.Image
    label: int


class LabelledStream:
    """Yields labelled images in a fixed order; `skipped` counts by reason those without a class or unreadable."""

    def __init__(self, data: str, classes: str | None = None) -> None:
        """`classes`: a JSON file, {class as the data has it: name}, or a list of names for classes that are numbers.

        Raises InputError when there is nothing to read.
        """
        self.data, self.skipped = data, Counter[str]()
        self._given_names = _read_classes(classes)
        self.folders = _class_folders(data)
        self._classes = list(self.folders) if self.folders else _classes_of_shards(data)
        if not self._classes:
            raise InputError(
                f"data {data!r} names no class; give folders of images by class, or shards whose JSON has `class` or "
                "a single object"
            )
        self._label = {name: label for label, name in enumerate(self._classes)}

    @property
    def names(self) -> list[str]:
        """The classes' names, in the order of the classes as the data has them, sorted."""
        return [self._name(name) for name in self._classes]

    def __iter__(self) -> Iterator[LabelledImage]:
        yield from self._from_folders() if self.folders else self._from_shards()

    def _name(self, name: str) -> str:
        given = self._given_names
        if isinstance(given, list) and name.isdigit() and int(name) < len(given):
            return given[int(name)]
        if isinstance(given, dict):
            return given.get(name, name)
        return name.replace("_", " ")

    def _from_folders(self) -> Iterator[LabelledImage]:
        fs, path = fsspec.url_to_fs(self.data)
        for name, files in self.folders.items():
            for file in files:
                try:
                    image = decode(fs.cat_file(posixpath.join(path, name, file)))
                except (BrokenSample, OSError) as error:
                    self.skipped[reason_of(error)] += 1
                    continue
                yield LabelledImage(f"{name}/{file}", image, self._label[name])

    def _from_shards(self) -> Iterator[LabelledImage]:
        stream = SampleStream(self.data, captioned=False)
        for picture in stream:
            name = class_of(picture.metadata)
            if name is None:
                self.skipped["no_class"] += 1
            else:
                yield LabelledImage(picture.key, picture.image, self._label[name])
        self.skipped.update(stream.skipped)


def class_of(metadata: dict[str, Any]) -> str | None:
    """The class that a sample's JSON names, or None: several objects are no class."""
    name = metadata.get("class")
    if isinstance(name, str | int) and not isinstance(name, bool):
        return str(name)
    objects = metadata.get("objects")
    if isinstance(objects, list) and len(objects) == 1 and isinstance(objects[0], dict):
        return objects[0].get("name")
    return None


def _class_folders(data: str) -> dict[str, list[str]]:
    """{class: its image files}, sorted; empty when `data` holds no folders of images."""
    fs, path = fsspec.url_to_fs(data)
    if not fs.isdir(path):
        return {}
    classes = {}
    for folder in sorted(fs.ls(path, detail=False)):
        if not fs.isdir(folder):
            continue
        names = sorted(posixpath.basename(name) for name in fs.ls(folder, detail=False))
        images = [name for name in names if name.lower().rsplit(".", 1)[-1] in IMAGE_EXTENSIONS]
        if images:
            classes[posixpath.basename(folder.rstrip("/"))] = images
    return classes


def _classes_of_shards(data: str) -> list[str]:
    """All classes of the shards' JSON: numbers by value, then names; the images are not read."""
    named = {class_of(metadata) for metadata in iterate_metadata(find_shards(data))}
    classes = [name for name in named if name is not None]
    return sorted(classes, key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name))


def _read_classes(classes: str | None) -> dict[str, str] | list[str] | None:
    """Names from a JSON file: by class, or as a list for classes that are numbers."""
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
