"""Captions that are not true of an image: another image's, or its own with some words exchanged.

Exchanges need samples whose JSON says what their captions mention, as the icon world's does: `objects` with name, color
and size, `mentions` with the object and the characters of the caption, `relations` with their words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

OPPOSITES = {
    "to the left of": "to the right of",
    "to the right of": "to the left of",
    "above": "below",
    "below": "above",
    "inside": "around",
}
"""Relation → one that cannot hold at the same time."""


@dataclass(frozen=True)
class Described:
    """A caption, and the metadata of its sample."""

    caption: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Vocabulary:
    """The values that objects of some samples have, sorted."""

    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, samples: Iterable[Described]) -> Vocabulary:
        """Gather names, colors and sizes."""
        found: dict[str, set[str]] = {"name": set(), "color": set(), "size": set()}
        for sample in samples:
            for entry in _objects(sample.metadata):
                for field, values in found.items():
                    if isinstance(entry.get(field), str):
                        values.add(entry[field])
        return cls({field: tuple(sorted(values)) for field, values in found.items()})


def shuffled(samples: Sequence[Described], generator: np.random.Generator) -> list[str | None]:
    """For each sample a caption of another one with other words; None where all have the same."""
    order = generator.permutation(len(samples))
    place = {int(row): at for at, row in enumerate(order)}
    found: list[str | None] = []
    for row, sample in enumerate(samples):
        others = (
            samples[order[(place[row] + step) % len(samples)]].caption for step in range(1, len(samples))
        )
        found.append(next((caption for caption in others if caption != sample.caption), None))
    return found


def attribute(sample: Described, words: Vocabulary, generator: np.random.Generator) -> str | None:
    """The caption with the color or the size of one mentioned object exchanged; None where none is mentioned."""
    return _exchanged(sample, words, ("color", "size"), generator, everywhere=False)


def name(sample: Described, words: Vocabulary, generator: np.random.Generator) -> str | None:
    """The caption with the name of one mentioned object exchanged; None where none is mentioned."""
    return _exchanged(sample, words, ("name",), generator, everywhere=False)


def names(sample: Described, words: Vocabulary, generator: np.random.Generator) -> str | None:
    """The caption with the name of every mentioned object exchanged: colors and sizes stay."""
    return _exchanged(sample, words, ("name",), generator, everywhere=True)


def relation(sample: Described, words: Vocabulary, generator: np.random.Generator) -> str | None:
    """The caption with one relation turned into its opposite; None where it has none that can be turned."""
    entries = sample.metadata.get("relations")
    listed = entries if isinstance(entries, list) else []
    stated = [entry.get("relation") for entry in listed if isinstance(entry, dict)]
    known = [word for word in stated if isinstance(word, str) and word in OPPOSITES]
    turned = [word for word in known if sample.caption.count(f" {word} ") == 1]
    if not turned:
        return None
    chosen = turned[int(generator.integers(len(turned)))]
    return sample.caption.replace(f" {chosen} ", f" {OPPOSITES[chosen]} ")


Exchange = Callable[[Described, Vocabulary, np.random.Generator], str | None]
EXCHANGES: dict[str, Exchange] = {"attribute": attribute, "name": name, "names": names, "relation": relation}
"""Kind of wrong caption → how it is made."""


def _exchanged(
    sample: Described,
    words: Vocabulary,
    fields: Sequence[str],
    generator: np.random.Generator,
    *,
    everywhere: bool,
) -> str | None:
    """Exchange a field's value within one mention, or within all; values of objects of the image are not taken."""
    caption, objects = sample.caption, _objects(sample.metadata)
    places = [
        (start, end, field, objects[number][field])
        for number, start, end in _mentions(sample)
        if number < len(objects)
        for field in fields
        if isinstance(objects[number].get(field), str)
        and len(_found(objects[number][field], caption[start:end])) == 1
    ]
    if not places:
        return None
    chosen = places if everywhere else [places[int(generator.integers(len(places)))]]
    for start, end, field, value in sorted(chosen, reverse=True):  # from behind, so that places stay
        taken = [entry.get(field) for entry in objects]
        others = [word for word in words.values[field] if word not in taken]
        if not others:
            return None
        (match,) = _found(value, caption[start:end])
        new = others[int(generator.integers(len(others)))]
        caption = caption[: start + match.start()] + new + caption[start + match.end() :]
    return caption


def _found(word: str, text: str) -> list[re.Match[str]]:
    return list(re.finditer(rf"\b{re.escape(word)}\b", text))


# Any: JSON values.
def _objects(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    objects = metadata.get("objects")
    return (
        [entry if isinstance(entry, dict) else {} for entry in objects] if isinstance(objects, list) else []
    )


def _mentions(sample: Described) -> list[tuple[int, int, int]]:
    """(object, start, end) of every mention that lies within the caption and behind the one before, in this order."""
    entries = sample.metadata.get("mentions")
    found: list[tuple[int, int, int]] = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            number, start, end = (_place(entry.get(key)) for key in ("object", "start", "end"))
            found.append((number, start, end))
    apart: list[tuple[int, int, int]] = []
    reached = 0
    for number, start, end in sorted(found, key=lambda mention: mention[1:]):
        if number >= 0 and reached <= start < end <= len(sample.caption):
            apart.append((number, start, end))
            reached = end
    return apart


def _place(value: object) -> int:
    """A whole number from 0 on; -1 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else -1
