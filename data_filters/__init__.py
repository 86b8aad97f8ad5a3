"""The filters by name, in the order in which they judge.

A filter is a score of one pair and the name of a limit. Scores are computed once and stored; a verdict is the
comparison alone, so that another limit can be tried without reading an image again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from data_filters.errors import InputError
from data_filters.image import ImageHeader, aspect_ratio, shorter_side
from data_filters.text import word_count
from data_filters.verdict import Drop, Keep, Verdict


@dataclass(frozen=True)
class Facts:
    """What the filters look at: the image's header and the caption."""

    image: ImageHeader
    caption: str


@dataclass(frozen=True)
class Filter:
    """Keeps a pair whose score is `above`, `at_least` or `at_most` the limit of that name."""

    score: str
    above: str | None = None
    at_least: str | None = None
    at_most: str | None = None

    @property
    def limit_name(self) -> str:
        return self.above or self.at_least or self.at_most or ""

    def keeps(self, value: float, limit: float) -> bool:
        if self.above is not None:
            return value > limit
        if self.at_least is not None:
            return value >= limit
        return value <= limit


SCORES: dict[str, Callable[[Facts], float]] = {
    "shorter_side": lambda facts: shorter_side(facts.image),
    "aspect_ratio": lambda facts: aspect_ratio(facts.image),
    "words": lambda facts: word_count(facts.caption),
}

FILTERS: dict[str, Filter] = {
    "small_image": Filter("shorter_side", above="min_side"),
    "extreme_aspect": Filter("aspect_ratio", at_most="max_aspect"),
    "few_words": Filter("words", at_least="min_words"),
    "many_words": Filter("words", at_most="max_words"),
}


def get_filter(name: str) -> Filter:
    """The filter of that name. Raises InputError with the known names."""
    if name not in FILTERS:
        raise InputError(
            f"unknown filter {name!r}; known are {', '.join(FILTERS)}; mend `filters` in the recipe"
        )
    return FILTERS[name]


def score(facts: Facts) -> dict[str, float]:
    """Every score of one pair, by name."""
    return {name: function(facts) for name, function in SCORES.items()}


def judge(name: str, scores: Mapping[str, float], limits: Mapping[str, float]) -> Verdict:
    """Replay the filter `name` on stored scores."""
    chosen = get_filter(name)
    value, limit = scores[chosen.score], limits[chosen.limit_name]
    return Keep(value) if chosen.keeps(value, limit) else Drop(name, value, limit)
