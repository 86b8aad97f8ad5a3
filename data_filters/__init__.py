"""FILTERS: every filter by its name in a recipe, in the order in which they judge.

To add one: write it in the file of its topic (`image.py`, `text.py`) and add its line below. The recipe's key, the
column of the scan and the line of the report follow from it. Importing this package loads no imaging library.
"""

from __future__ import annotations

from data_filters.addresses import FILE_NAMES, URLS
from data_filters.errors import InputError
from data_filters.filter import Facts, Filter
from data_filters.image import (
    EXTREME_ASPECT,
    FEW_PIXELS,
    INCLUSIVE_SMALL_IMAGE,
    LARGE_FILE,
    MANY_PIXELS,
    SMALL_FILE,
    SMALL_IMAGE,
)
from data_filters.text import (
    FEW_CHARACTERS,
    FEW_WORDS,
    LOW_LETTER_SHARE,
    MANY_CHARACTERS,
    MANY_WORDS,
    REPETITION,
)

__all__ = ["FILTERS", "Facts", "Filter", "get_filter", "score_names"]

FILTERS: dict[str, Filter] = {
    "small_image": SMALL_IMAGE,
    "extreme_aspect": EXTREME_ASPECT,
    "few_words": FEW_WORDS,
    "many_words": MANY_WORDS,
    # Those below judge only where a recipe gives their limit.
    "small_image_inclusive": INCLUSIVE_SMALL_IMAGE,
    "few_pixels": FEW_PIXELS,
    "many_pixels": MANY_PIXELS,
    "small_file": SMALL_FILE,
    "large_file": LARGE_FILE,
    "few_characters": FEW_CHARACTERS,
    "many_characters": MANY_CHARACTERS,
    "few_letters": LOW_LETTER_SHARE,
    "repetition": REPETITION,
    "urls": URLS,
    "file_names": FILE_NAMES,
}


def get_filter(name: str) -> Filter:
    """Look up the filter of that name. Raises InputError with the known names."""
    if name not in FILTERS:
        raise InputError(
            f"unknown filter {name!r}; known are {', '.join(FILTERS)}; mend `filters` in the recipe"
        )
    return FILTERS[name]


def score_names() -> list[str]:
    """The scores of all filters, each once, in the order of FILTERS."""
    return list(dict.fromkeys(chosen.score for chosen in FILTERS.values()))
