"""EXTRACTORS: the ways to find noun phrases, by name, and `extract_phrases`, which finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Protocol

from data_filters.errors import InputError
from data_filters.phrases.options import PhraseOptions

__all__ = ["EXTRACTORS", "PhraseExtractor", "PhraseOptions", "extract_phrases", "load_extractor"]


class PhraseExtractor(Protocol):
    """A loaded parser: takes captions, returns for each the character spans (start, end) of its phrases, in order."""

    def __call__(self, captions: Iterable[str]) -> list[list[tuple[int, int]]]: ...


def _noun_chunks(model: str, options: PhraseOptions) -> PhraseExtractor:
    from data_filters.phrases.noun_chunks import NounChunks

    return NounChunks(model, options)


def _constituency(model: str, options: PhraseOptions) -> PhraseExtractor:
    from data_filters.phrases.constituency import Constituency

    return Constituency(model, options)


# Name → function of (model, options) that loads an extractor. spaCy is imported only then.
EXTRACTORS: dict[str, Callable[[str, PhraseOptions], PhraseExtractor]] = {
    "noun_chunks": _noun_chunks,  # any spaCy pipeline with a dependency parser
    "constituency": _constituency,  # benepar through spaCy: pip install benepar
}


def load_extractor(
    extractor: str = "noun_chunks", model: str = "default", options: PhraseOptions | None = None
) -> PhraseExtractor:
    """Load an extractor by its name in EXTRACTORS. Raises InputError on an unknown name, model or option."""
    if extractor not in EXTRACTORS:
        known = ", ".join(EXTRACTORS)
        raise InputError(f"phrases.extractor is {extractor!r}; known are {known}; set phrases.extractor")
    return EXTRACTORS[extractor](model, options or PhraseOptions())


_loaded = lru_cache(maxsize=4)(load_extractor)


def extract_phrases(
    captions: list[str],
    model: str = "default",
    level: str = "maximal",
    extractor: str = "noun_chunks",
    **options: Any,  # the fields of PhraseOptions, which are of several types
) -> list[list[tuple[int, int]]]:
    """Find the character spans of the phrases of each caption, in order; an empty list where there is none.

    `model`: `default` (shipped, English), or any spaCy pipeline by name or path. `level`: `maximal` or `base`.
    Other options: the fields of PhraseOptions. The pipeline is loaded once per process. Raises InputError.
    """
    try:
        chosen = PhraseOptions(level=level, **options)
    except TypeError:
        known = ", ".join(PhraseOptions.__dataclass_fields__)
        raise InputError(f"phrase options are {sorted(options)}; known are {known}") from None
    return _loaded(extractor, model, chosen)(captions)
