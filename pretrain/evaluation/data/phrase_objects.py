"""What is said of a sample: the phrases of its caption, and which of its objects they name, where the data tells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from data_filters.sample import Sample
from pretrain.data.samples.batch import Span
from pretrain.data.samples.phrases import phrase_spans
from pretrain.evaluation.data.samples import Picture

_WORD = re.compile(r"\w+(?:['’-]\w+)*")

_WORDS = (
    "a about above across after against all along am among an and any are around as at away back be because been before"
    " behind being below beneath beside between beyond both but by can could did do does down during each for from had"
    " has have he her hers him his how i if in inside into is it its itself just many me more most my near next no nor"
    " not of off on one onto or other our out outside over own per s shall she should so some such than that the their"
    " them then there these they this those through to together too toward under until up upon us very was we were what"
    " when where which while who whose will with within without would you your image photo picture"
)
FUNCTION_WORDS = frozenset(_WORDS.split())
"""Words that show nothing; "image", "photo" and "picture" name what every sample is."""


@dataclass(frozen=True)
class Phrase:
    """Characters `span` of the caption. `objects` are the numbers of the objects that it names."""

    text: str
    span: Span
    objects: tuple[int, ...] = ()


@dataclass(frozen=True)
class Described:
    """One image, one caption, its phrases; `boxes` are (left, top, width, height) of its objects in px."""

    key: str
    image: Image.Image
    caption: str
    phrases: tuple[Phrase, ...]
    source: str  # where the phrases are from: "phrases", "mentions" or "words"
    boxes: Float[np.ndarray, "T 4"]

    @property
    def names_objects(self) -> bool:
        """Whether any phrase is known to name an object."""
        return any(phrase.objects for phrase in self.phrases)


def describe(picture: Picture, most: int) -> Described:
    """The first caption of a sample and at most `most` of its phrases.

    Phrases are those that curation wrote (`loupe.phrases`); without them the mentions of objects that the data itself
    has (the icon world); with neither, the words of the caption that are no function words: finding noun phrases is
    curation's work, and not repeated here.

    A phrase names the object of the one mention that it holds or lies in. Without mentions it names all objects of the
    one category (`boxes`, COCO) whose name stands in it, in the singular or with an s.

    Raises ValueError when the phrases are not those of this caption.
    """
    caption, metadata = picture.captions[0], picture.metadata
    mentions = [
        (int(one["start"]), int(one["end"]), int(one["object"])) for one in metadata.get("mentions") or ()
    ]
    spans = phrase_spans(Sample(picture.key, None, None, caption, metadata))
    source = "phrases"
    if not spans:
        spans, source = [(start, end) for start, end, _ in mentions], "mentions"
    if not spans:
        spans, source = [span for span in word_spans(caption) if not _is_function(caption, span)], "words"
    names, boxes = _objects(metadata, *picture.image.size)
    phrases = []
    for span in spans[:most]:
        text = caption[slice(*span)]
        named = _mentioned(span, mentions) if mentions else _named(text, names)
        phrases.append(Phrase(text, span, named))
    return Described(picture.key, picture.image, caption, tuple(phrases), source, boxes)


def word_spans(caption: str) -> list[Span]:
    """Characters (start, end) of the caption's words."""
    return [found.span() for found in _WORD.finditer(caption)]


def content_words(caption: str, most: int) -> list[Span]:
    """The first `most` different words that are no function words."""
    found: dict[str, Span] = {}
    for span in word_spans(caption):
        if not _is_function(caption, span):
            found.setdefault(caption[slice(*span)].lower(), span)
    return list(found.values())[:most]


def _is_function(caption: str, span: Span) -> bool:
    return caption[slice(*span)].lower() in FUNCTION_WORDS


def _mentioned(span: Span, mentions: Sequence[tuple[int, int, int]]) -> tuple[int, ...]:
    """The object of the one mention that overlaps the span, if either holds the other."""
    touched = [one for one in mentions if one[0] < span[1] and span[0] < one[1]]
    if len(touched) != 1:
        return ()
    start, end, number = touched[0]
    nested = (span[0] <= start and end <= span[1]) or (start <= span[0] and span[1] <= end)
    return (number,) if nested else ()


def _named(text: str, names: Sequence[str]) -> tuple[int, ...]:
    """All objects of the one category whose name stands in the text."""
    found = {name for name in names if re.search(rf"\b{re.escape(name)}s?\b", text, re.IGNORECASE)}
    return tuple(number for number, name in enumerate(names) if name in found) if len(found) == 1 else ()


def _objects(
    metadata: Mapping[str, Any], width: int, height: int
) -> tuple[list[str], Float[np.ndarray, "T 4"]]:
    """Names and boxes, in px of the image as it is, of `objects` or else of COCO's `boxes`."""
    across, down = width / (metadata.get("width") or width), height / (metadata.get("height") or height)
    listed = [(str(one["name"]), one["box"]) for one in metadata.get("objects") or ()]
    listed = listed or [(str(one["category"]), one["bbox"]) for one in metadata.get("boxes") or ()]
    boxes = np.array([box for _, box in listed], float).reshape(-1, 4) * [across, down, across, down]
    return [name for name, _ in listed], boxes
