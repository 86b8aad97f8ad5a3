"""The settings of `loupe curate`. Closed: an unknown key is an error.

The limits are keys of their own (`min_side`, `max_words`, ...), one for each filter in `data_filters.FILTERS`.
"""

from __future__ import annotations

from itertools import product
from typing import Any, Self

from pydantic import Field, create_model, field_validator, model_validator

from data_filters import FILTERS, get_filter
from data_filters.filter import Limit
from pipelines.common.config import NO_EFFECT_ON_OUTPUT, Section
from pipelines.phrases.config import PhrasesConfig


class ActiveFilters(Section):
    """Which filters judge, and their limits; the fields of the limits are added below."""

    filters: tuple[str, ...] = Field(
        tuple(FILTERS), description="names of the filters, in the order in which they judge"
    )

    @field_validator("filters")
    @classmethod
    def _known_filters(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in FILTERS:
                raise ValueError(f"unknown filter {name!r}; known are {', '.join(FILTERS)}")
        if len(set(names)) != len(names):
            raise ValueError("a filter comes twice; name each once")
        return names

    @model_validator(mode="after")
    def _ordered_limits(self) -> Self:
        """Refuse a lower and an upper limit of one score that no pair can meet together."""
        for lower, upper in product(FILTERS.values(), FILTERS.values()):
            if upper.at_most is None or lower.at_most is not None or lower.score != upper.score:
                continue
            low, high = getattr(self, lower.limit_name), getattr(self, upper.limit_name)
            if not lower.keeps(high, low):
                raise ValueError(
                    f"{lower.limit_name} is {low}, above {upper.limit_name} {high}; no pair could pass; "
                    f"lower {lower.limit_name} or raise {upper.limit_name}"
                )
        return self

    def limits(self) -> dict[str, float]:
        """The limit of every active filter, by the limit's name."""
        names = [get_filter(name).limit_name for name in self.filters]
        return {name: getattr(self, name) for name in names}


# What create_model takes: (type, Field(...)) by name; pydantic has no narrower type for it.
def limit_fields() -> dict[str, Any]:
    """The field of every limit in FILTERS, by its key.

    Raises ValueError when two filters define one key differently.
    """
    limits: dict[str, Limit] = {}
    for name, chosen in FILTERS.items():
        if limits.setdefault(chosen.limit.key, chosen.limit) != chosen.limit:
            raise ValueError(
                f"filter {name} defines the key {chosen.limit.key} anew; share the Limit or rename it"
            )
    return {
        limit.key: (
            type(limit.default),
            Field(limit.default, ge=limit.minimum, le=limit.maximum, description=limit.description),
        )
        for limit in limits.values()
    }


# Any: mypy knows no class that is made at run time; ActiveFilters beside it below gives the types that it has.
FilterSettings: Any = create_model("FilterSettings", __base__=ActiveFilters, **limit_fields())


class CurateConfig(FilterSettings, ActiveFilters):
    """Limits of the filters, and how the run goes. The defaults are those of the LOUPE paper (appendix A)."""

    phrases: PhrasesConfig | None = Field(
        None, description="how the phrases of the kept captions are found; null: not at all"
    )
    max_bad_fraction: float = Field(
        0.1,
        ge=0,
        le=1,
        description="fraction of all samples, 0 to 1; the run stops when more than this cannot be read",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="shards at work at the same time; null takes one per CPU",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
    examples: int = Field(
        3,
        ge=0,
        le=100,
        description="rejected pairs kept as pictures for the report, per filter and shard",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
