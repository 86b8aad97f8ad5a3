"""COCO's tables and RefCOCO's expressions from JSON, checked and joined by their ids.

An entry that cannot be joined to the others is refused by its place and id, since a score would silently lack it. An
expression or an object that is whole but refers to an image that the file does not list is counted.
"""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from data_filters.errors import InputError
from pretrain.evaluation.data.foreign_json import identity_of, load_json, text_of

Id = int | str
Entry = Mapping[str, Any]  # an entry of a table, whose other keys are the data set's own
REMEDY = "give shards or a COCO-format .json"


@dataclass(frozen=True)
class Reference:
    """A text that refers to an annotation by its id."""

    annotation: Id
    text: str


@dataclass(frozen=True)
class CocoTables:
    """Images by id; names of categories in the order of their ids; annotations and expressions by image id.

    `references` is None where the file is no list of referring expressions. `unusable` counts by reason what belongs to
    no image of the file.
    """

    images: Mapping[Id, Entry]
    names: Mapping[Id, str]
    annotations: Mapping[Id, list[Entry]]
    references: Mapping[Id, list[Reference]] | None
    unusable: Counter[str] = field(default_factory=Counter)


def read_tables(data: str, split: str | None = None) -> CocoTables:
    """The tables of a JSON file: COCO's format, or RefCOCO's refs with an `instances.json` beside them.

    `split` is one of the refs'. Raises InputError, which names the entry, when the file is in neither format, has no
    such split, or an entry has no id, one that another entry has, or names a category that the file lacks.
    """
    document = load_json(data, "data", REMEDY)
    if not isinstance(document, list):
        if split is not None:
            raise InputError(
                f"split is {split!r}, but data {data!r} has no splits; leave it out, or give RefCOCO's refs as JSON"
            )
        return _tables(document, data, None)
    beside = posixpath.join(posixpath.dirname(data), "instances.json")
    references = _read_references(document, data, split)
    return _tables(load_json(beside, "the annotations of the refs in data", REMEDY), beside, references)


def _tables(document: object, data: str, references: dict[Id, list[Reference]] | None) -> CocoTables:
    if not isinstance(document, dict):
        raise InputError(f"data {data!r} is not in COCO's format but a {type(document).__name__}; {REMEDY}")
    images = _by_id(document, "images", data)
    names = {
        identity: _category_name(entry, data)
        for identity, entry in _by_id(document, "categories", data).items()
    }
    unusable = Counter[str]()
    annotations: dict[Id, list[Entry]] = defaultdict(list)
    seen: set[Id] = set()
    for where, entry in _entries(document, "annotations", data):
        _check_annotation(entry, where, names, seen, data, named=references is None)
        image = known_id(entry["image_id"])
        if image in images:
            annotations[image].append(entry)
        elif references is None:
            unusable["unknown_image"] += 1
    if references is not None:
        for image in references.keys() - images.keys():
            unusable["unknown_image"] += len(references[image])
        images = {image: entry for image, entry in images.items() if image in references}
    order = sorted(names, key=lambda identity: (isinstance(identity, str), identity))
    return CocoTables(
        images, {identity: names[identity] for identity in order}, annotations, references, unusable
    )


def _check_annotation(
    entry: Entry, where: str, names: Mapping[Id, str], seen: set[Id], data: str, *, named: bool
) -> None:
    """Refuse an annotation that cannot be joined; where `named`, one with a box has to have a category's name.

    An annotation needs no id of its own unless an expression refers to it.
    """
    if entry.get("id") is not None:
        identity = identity_of(entry["id"])
        if identity is None or identity in seen:
            what = "which is no id" if identity is None else "which another annotation has"
            raise InputError(f"data {data!r}: {where} has the id {entry['id']!r}, {what}; give each its own")
        seen.add(identity)
    if identity_of(entry.get("image_id")) is None:
        raise InputError(
            f"data {data!r}: {where} has the image_id {entry.get('image_id')!r}; expected the id of an image"
        )
    category = entry.get("category_id")
    if named and entry.get("bbox") is not None and identity_of(category) not in names:
        raise InputError(
            f"data {data!r}: {where} has the category_id {category!r}, which `categories` does not have; add the "
            "category, or remove the annotation"
        )


def _category_name(entry: Entry, data: str) -> str:
    name = text_of(entry.get("name"))
    if name is None:
        raise InputError(
            f"data {data!r}: category {entry['id']!r} has the name {entry.get('name')!r}; expected a text"
        )
    return name


def _by_id(document: Mapping[str, object], table: str, data: str) -> dict[Id, Entry]:
    """The entries of a table by their ids, each its own; equal entries count once."""
    entries: dict[Id, Entry] = {}
    for where, entry in _entries(document, table, data):
        identity = identity_of(entry.get("id"))
        if identity is None:
            raise InputError(
                f"data {data!r}: {where} has the id {entry.get('id')!r}; expected a number or a text"
            )
        if entries.get(identity, entry) != entry:
            raise InputError(
                f"data {data!r}: {where} has the id of another entry of {table}; give each its own"
            )
        entries[identity] = entry
    return entries


def _entries(document: Mapping[str, object], table: str, data: str) -> Iterator[tuple[str, Entry]]:
    """(place of the entry in words, entry) of a table. Raises InputError where it is no list of objects."""
    entries = document.get(table)
    if not isinstance(entries, list):
        raise InputError(
            f"data {data!r} is not in COCO's format: it has no list {table!r}; "
            "it has images, annotations and categories"
        )
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise InputError(
                f"data {data!r}: {table}[{number}] is a {type(entry).__name__}; expected an object"
            )
        identity = f" (id {entry['id']!r})" if entry.get("id") is not None else ""
        yield f"{table}[{number}]{identity[:60]}", entry


def _read_references(document: list[Any], data: str, split: str | None) -> dict[Id, list[Reference]]:
    """The expressions of the split by image id. Raises InputError, which names the entry that is no ref."""
    for number, ref in enumerate(document):
        given = ref if isinstance(ref, dict) else {}
        whole = isinstance(given.get("sentences"), list)
        if (
            not whole
            or identity_of(given.get("image_id")) is None
            or identity_of(given.get("ann_id")) is None
        ):
            raise InputError(
                f"data {data!r} is a list, but entry {number} is not {{image_id, ann_id, sentences: [{{sent}}]}}; "
                "give RefCOCO's refs as JSON"
            )
    splits = sorted({str(ref.get("split")) for ref in document})
    if not document or (split is not None and split not in splits):
        raise InputError(f"split is {split!r}; {data!r} has {', '.join(splits) or 'no expression'}")
    references: dict[Id, list[Reference]] = defaultdict(list)
    for number, ref in enumerate(document):
        if split is None or ref.get("split") == split:
            for sentence in ref["sentences"]:
                given = sentence if isinstance(sentence, dict) else {}
                text = text_of(given.get("sent")) or text_of(given.get("raw"))
                if text is None:
                    raise InputError(
                        f"data {data!r}: entry {number} has the sentence {str(sentence)[:60]!r}; "
                        "expected {sent} or {raw} with a text"
                    )
                references[known_id(ref["image_id"])].append(Reference(known_id(ref["ann_id"]), text))
    return references


def known_id(identity: object) -> Id:
    """An id that has been checked."""
    known = identity_of(identity)
    assert known is not None
    return known
