"""The phrases of a caption, and which objects of the image they name, where the data say so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from PIL import Image

from data_filters.sample import BrokenSample, Sample
from pretrain.data.samples.batch import Span
from pretrain.data.samples.phrases import phrase_spans
from pretrain.evaluation.data.foreign_json import whole_number_of
from pretrain.evaluation.data.known_objects import KnownObjects, read_objects
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
"""Words that name nothing visible, and those that are true of every sample: "image", "photo" and "picture"."""


@dataclass(frozen=True)
class Phrase:
    """Characters `span` of the caption. `objects` are the numbers of the objects that it names."""

    text: str
    span: Span
    objects: tuple[int, ...] = ()


@dataclass(frozen=True)
class CaptionedImage:
    """One image, one caption, its phrases; `boxes` are (left, top, width, height) of its objects in px.

    `unusable` counts by reason the objects that are left out.
    """

    key: str
    image: Image.Image
    caption: str
    phrases: tuple[Phrase, ...]
    source: str  # where the phrases are from: "phrases", "mentions" or "words"
    boxes: Float[np.ndarray, "T 4"]
    unusable: Mapping[str, int] = field(default_factory=dict)

    @property
    def names_objects(self) -> bool:
        """Whether any phrase is known to name an object."""
        return any(phrase.objects for phrase in self.phrases)


def read_phrases(picture: Picture, most: int) -> CaptionedImage:
    """The first caption of a sample and at most `most` of its phrases.

    Phrases are those that curation wrote (`loupe.phrases`); without them the mentions of objects that the data
    have (the icon world); with neither, the words of the caption that are no function words: finding noun phrases is
    part of curation and is not repeated here.

    A phrase names the object of the one mention that it contains or lies in. Without mentions it names all objects of
    the one category (`boxes`, COCO) whose name stands in it, in the singular or with an s.

    Objects without a usable box count as absent; `unusable` says how many, by reason.

    Raises BrokenSample when the phrases (`broken_phrases`) or the mentions (`broken_mentions`) are not those of this
    caption and these objects, or `broken_size` as `read_objects` does.
    """
    caption, metadata = picture.captions[0], picture.metadata
    known = read_objects(metadata, *picture.image.size) or KnownObjects((), {}, Counter())
    mentions = _mentions(picture, known)
    try:
        spans = phrase_spans(Sample(picture.key, None, None, caption, metadata))
    except ValueError as error:
        raise BrokenSample("broken_phrases", str(error)) from error
    source = "phrases"
    if not spans:
        spans, source = [(start, end) for start, end, _ in mentions], "mentions"
    if not spans:
        spans, source = [span for span in word_spans(caption) if not _is_function(caption, span)], "words"
    names = [true_object.name for true_object in known.objects]
    boxes = np.array([true_object.box for true_object in known.objects], float).reshape(-1, 4)
    phrases = []
    for span in spans[:most]:
        text = caption[slice(*span)]
        named = _mentioned(span, mentions) if mentions else _named(text, names)
        # A mention of an object without a usable box names nothing that could be pointed at.
        named = (
            tuple(known.places[number] for number in named if number in known.places) if mentions else named
        )
        phrases.append(Phrase(text, span, named))
    return CaptionedImage(
        picture.key, picture.image, caption, tuple(phrases), source, boxes, dict(known.unusable)
    )


def mention_spans(picture: Picture) -> list[Span]:
    """Characters (start, end) of the mentions of objects that a sample's JSON has of its first caption.

    Raises BrokenSample as `read_phrases` does.
    """
    known = read_objects(picture.metadata, *picture.image.size) or KnownObjects((), {}, Counter())
    return [(start, end) for start, end, _ in _mentions(picture, known)]


def word_spans(caption: str) -> list[Span]:
    """Characters (start, end) of the caption's words."""
    return [match.span() for match in _WORD.finditer(caption)]


def content_words(caption: str, most: int) -> list[Span]:
    """The first `most` different words that are no function words."""
    spans: dict[str, Span] = {}
    for span in word_spans(caption):
        if not _is_function(caption, span):
            spans.setdefault(caption[slice(*span)].lower(), span)
    return list(spans.values())[:most]


def _mentions(picture: Picture, known: KnownObjects) -> list[tuple[int, int, int]]:
    """(start, end, number of the object in the data) of each mention. Raises BrokenSample (`broken_mentions`)."""
    caption, listed = picture.captions[0], picture.metadata.get("mentions") or []
    objects = len(known.objects) + known.unusable.total()
    mentions = []
    for entry in listed if isinstance(listed, list) else [listed]:
        given = entry if isinstance(entry, dict) else {}
        start, end, number = (whole_number_of(given.get(name)) for name in ("start", "end", "object"))
        if start is None or end is None or number is None:
            raise BrokenSample(
                "broken_mentions", f"mention {entry!r}; expected numbers start, end and object"
            )
        if not 0 <= start < end <= len(caption) or not 0 <= number < objects:
            raise BrokenSample(
                "broken_mentions",
                f"mention {entry!r} in a caption of {len(caption)} characters, with {objects} objects",
            )
        mentions.append((start, end, number))
    return mentions


def _is_function(caption: str, span: Span) -> bool:
    return caption[slice(*span)].lower() in FUNCTION_WORDS


def _mentioned(span: Span, mentions: Sequence[tuple[int, int, int]]) -> tuple[int, ...]:
    """The object of the one mention that overlaps the span, if one of the two contains the other."""
    overlapping = [
        (start, end, number) for start, end, number in mentions if start < span[1] and span[0] < end
    ]
    if len(overlapping) != 1:
        return ()
    start, end, number = overlapping[0]
    nested = (span[0] <= start and end <= span[1]) or (start <= span[0] and span[1] <= end)
    return (number,) if nested else ()


def _named(text: str, names: Sequence[str]) -> tuple[int, ...]:
    """All objects of the one category whose name stands in the text."""
    named = {name for name in names if re.search(rf"\b{re.escape(name)}s?\b", text, re.IGNORECASE)}
    return tuple(number for number, name in enumerate(names) if name in named) if len(named) == 1 else ()
