"""Images with one class each: folders by class, or shards.

- folders: DATA/CLASS/*.jpg (or png, jpeg, webp), the folder's name is the class;
- shards: `KEY.json` with `class` (a name, or a number into `classes`), or one single object in `objects`.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from data_filters.decode import decode
from data_filters.errors import InputError
from data_filters.sample import IMAGE_EXTENSIONS, BrokenSample
from pipelines.common.files import filesystem
from pretrain.evaluation.data.class_names import class_number, name_classes
from pretrain.evaluation.data.foreign_json import text_of, whole_number_of
from pretrain.evaluation.data.samples import SampleStream, find_shards, iterate_metadata, reason_of


@dataclass(frozen=True)
class LabelledImage:
    """One image; `label` is the place of its class in `LabelledStream.names`."""

    key: str
    image: Image.Image
    label: int


class LabelledStream:
    """Yields labelled images in a fixed order; `skipped` counts by reason what is passed over.

    Images without a class (`no_class`) or unreadable; of folders also those without an image (`empty_folder`) and files
    that are no image by their names (`other_file`); hidden ones are not looked at.
    """

    def __init__(self, data: str, classes: str | None = None) -> None:
        """`classes`: a JSON file with names for the classes, see `class_names.name_classes`.

        Raises InputError when there is nothing to read, and for names that do not fit the classes.
        """
        self.data, self.skipped = data, Counter[str]()
        self.folders, self._passed_over = _class_folders(data)
        self._classes = list(self.folders) if self.folders else _classes_of_shards(data)
        if not self._classes:
            raise InputError(
                f"data {data!r} names no class; give folders of images by class, or shards whose JSON has `class` or "
                "a single object"
            )
        self._label = {name: label for label, name in enumerate(self._classes)}
        self.names = name_classes(self._classes, classes, data)
        """The classes' names, in the order of the classes as the data has them, sorted."""

    def __iter__(self) -> Iterator[LabelledImage]:
        yield from self._from_folders() if self.folders else self._from_shards()

    def _from_folders(self) -> Iterator[LabelledImage]:
        self.skipped.update(self._passed_over)
        fs, path = filesystem(self.data)
        for name, files in self.folders.items():
            for file in files:
                try:
                    image = decode(fs.cat_file(posixpath.join(path, name, file)))
                except (BrokenSample, OSError) as error:
                    self.skipped[reason_of(error)] += 1
                    continue
                yield LabelledImage(_shown(f"{name}/{file}"), image, self._label[name])

    def _from_shards(self) -> Iterator[LabelledImage]:
        for picture in SampleStream(self.data, captioned=False, skipped=self.skipped):
            name = class_of(picture.metadata)
            if name is None or name not in self._label:
                self.skipped["no_class"] += 1
            else:
                yield LabelledImage(picture.key, picture.image, self._label[name])


def class_of(metadata: dict[str, Any]) -> str | None:
    """The class that a sample's JSON names by a text or a number from 0 up, or None: several objects are no class."""
    name = metadata.get("class")
    if name is None:
        objects = metadata.get("objects")
        if isinstance(objects, list) and len(objects) == 1 and isinstance(objects[0], dict):
            name = objects[0].get("name")
    number = whole_number_of(name)
    if number is None:
        return text_of(name)
    return str(number) if number >= 0 else None  # -1 stands for "no label" in many data sets


def _class_folders(data: str) -> tuple[dict[str, list[str]], Counter[str]]:
    """({class: its image files}, sorted; what was passed over); empty when `data` holds no folders of images.

    Raises InputError for a folder whose name is not UTF-8, which no tokenizer reads.
    """
    fs, path = filesystem(data)
    classes: dict[str, list[str]] = {}
    passed_over = Counter[str]()
    if not fs.isdir(path):
        return classes, passed_over
    for folder in sorted(fs.ls(path, detail=False)):
        name = posixpath.basename(folder.rstrip("/"))
        if name.startswith(".") or not fs.isdir(folder):
            continue
        files = sorted(posixpath.basename(file) for file in fs.ls(folder, detail=False))
        files = [file for file in files if not file.startswith(".")]
        images = [file for file in files if file.lower().rsplit(".", 1)[-1] in IMAGE_EXTENSIONS]
        if not images:
            passed_over["empty_folder"] += 1
            continue
        if text_of(name) is None:
            raise InputError(
                f"data {data!r} has the class folder {_shown(name)!r}, whose name is not UTF-8; rename it"
            )
        passed_over["other_file"] += len(files) - len(images)
        classes[name] = images
    return classes, +passed_over


def _shown(name: str) -> str:
    """A file's name as UTF-8 can hold it: bytes that it cannot hold are replaced."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _classes_of_shards(data: str) -> list[str]:
    """All classes of the shards' JSON: numbers by value, then names; the images are not read."""
    named = {class_of(metadata) for metadata in iterate_metadata(find_shards(data))}
    return sorted((name for name in named if name is not None), key=_order)


def _order(name: str) -> tuple[bool, int, str]:
    number = class_number(name)
    return number is None, number or 0, name
