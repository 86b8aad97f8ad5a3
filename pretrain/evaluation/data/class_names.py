"""Names of classes: those that a JSON file gives, and those that folders or shards have themselves."""

from __future__ import annotations

from collections.abc import Sequence

from data_filters.errors import InputError
from pretrain.evaluation.data.foreign_json import load_json, text_of

SHOWN = 3  # classes that a message names


def name_classes(classes: Sequence[str], file: str | None, data: str) -> list[str]:
    """The name of each class, in their order; `classes` are as the data has them, sorted.

    `file` is a JSON file with {class: name} of all of them, or a list of names: the one at the place that a class of a
    number has, else as many as there are classes, in their order. Without it underscores become blanks.

    Raises InputError for a file that cannot be read, a class without a name, a name that is no text, lists of another
    length, and two classes of one name, of which neither could be told from the other.
    """
    if file is None:
        names = [name.replace("_", " ") for name in classes]
        given = f"the classes of data {data!r}"
        remedy = "give them names of their own, with --set classes=FILE"
    else:
        names = _given(classes, file, data)
        given, remedy = f"classes {file!r}", "give each class a name of its own"
    first: dict[str, str] = {}
    for name, known in zip(classes, names, strict=True):
        if known in first:
            raise InputError(f"{given}: {first[known]!r} and {name!r} have both the name {known!r}; {remedy}")
        first[known] = name
    return names


def _given(classes: Sequence[str], file: str, data: str) -> list[str]:
    value = load_json(file, "classes", "give a JSON file with {class: name} or a list of names")
    if isinstance(value, dict):
        missing = [name for name in classes if name not in value]
        if missing:
            raise InputError(
                f"classes {file!r} names {len(classes) - len(missing)} of the {len(classes)} classes of data {data!r}; "
                f"it lacks {', '.join(map(repr, missing[:SHOWN]))}{' and others' if missing[SHOWN:] else ''}; "
                "give {class: name} of all"
            )
        names = {name: value[name] for name in classes}
    elif isinstance(value, list):
        names = dict(zip(classes, _from_list(classes, value, file, data), strict=True))
    else:
        raise InputError(
            f"classes {file!r} is a {type(value).__name__}; give {{class: name}} or a list of names"
        )
    for name, known in names.items():
        if text_of(known) is None:
            raise InputError(f"classes {file!r} gives {known!r} as the name of {name!r}; expected a text")
    return [str(known) for known in names.values()]


def _from_list(classes: Sequence[str], listed: list[object], file: str, data: str) -> list[object]:
    numbers = [class_number(name) for name in classes]
    places = [number for number in numbers if number is not None]
    if len(places) == len(classes):
        beyond = [number for number in places if number >= len(listed)]
        if beyond:
            raise InputError(
                f"classes {file!r} lists {len(listed)} names, but data {data!r} has the class {beyond[0]}, counted "
                "from 0; give a list that reaches to it, or {class: name}"
            )
        return [listed[place] for place in places]
    if len(listed) != len(classes):
        raise InputError(
            f"classes {file!r} lists {len(listed)} names, but data {data!r} has {len(classes)} classes "
            f"({', '.join(map(repr, classes[:SHOWN]))}{', …' if classes[SHOWN:] else ''}); give a name for each, in "
            "their sorted order, or {class: name}"
        )
    return listed


def class_number(name: str) -> int | None:
    """The number that a class has for a name, or None; what is too long for a count is no number."""
    return int(name) if name.isascii() and name.isdigit() and len(name) <= 9 else None
