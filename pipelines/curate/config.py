"""The settings of `loupe curate`. Closed: an unknown key is an error.

The limits are keys of their own (`min_side`, `max_words`, ...), one for each filter in `data_filters.FILTERS`.
"""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)

from data_filters import FILTERS, get_filter
from data_filters.filter import Limit
from pipelines.common.config import NO_EFFECT_ON_OUTPUT, Section, one_of
from pipelines.curate.rules import AnyRule
from pipelines.phrases.config import PhrasesConfig


class ActiveFilters(Section):
    """Which filters and rules judge, and their limits; the fields of the limits are added below."""

    rules: dict[str, AnyRule | None] = Field(
        {},
        description="rules with options of their own, by a name of your choice; `kind` says which rule it is; null "
        "switches one off",
    )
    filters: tuple[str, ...] | None = Field(
        None,
        description="names of the filters and rules, in the order in which they judge; null: every filter that has a "
        "limit, then the rules in their order. Those that look at one pair always come before those over the corpus",
    )

    # Any: what the user gave, before it is checked.
    @model_validator(mode="before")
    @classmethod
    def _order_of_rules(cls, values: Any) -> Any:
        """Write down the order of the rules: that of the keys of a mapping is lost in a stored configuration."""
        if (
            isinstance(values, dict)
            and values.get("filters") is None
            and isinstance(values.get("rules"), dict)
            and values["rules"]
        ):
            defaults = {chosen.limit_name: chosen.limit.default for chosen in FILTERS.values()}
            limits = {**defaults, **values}
            filters = [name for name, chosen in FILTERS.items() if limits[chosen.limit_name] is not None]
            rules = [name for name, rule in values["rules"].items() if rule is not None]
            return {**values, "filters": [*filters, *rules]}
        return values

    @model_serializer(mode="wrap")
    def _without_unused_limits(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the limits that are null by default and in the recipe: another such filter changes no hash."""
        dumped: dict[str, Any] = dump(self)
        unused = {one.limit_name for one in FILTERS.values() if one.limit.default is None}
        return {name: value for name, value in dumped.items() if value is not None or name not in unused}

    # Any: as in `rules`.
    @field_validator("rules")
    @classmethod
    def _names_of_their_own(cls, rules: dict[str, Any]) -> dict[str, Any]:
        """Refuse names that filters have."""
        for name in rules:
            if name in FILTERS:
                raise ValueError(f"{name} is the name of a filter; choose another name")
        return rules

    @field_validator("filters")
    @classmethod
    def _known_filters(cls, names: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        """Refuse names that are unknown or come twice; `rules` is checked before."""
        is_told = "rules" not in info.data  # what is wrong with the rules themselves
        known = [*FILTERS, *info.data.get("rules", {})]
        for name in names or ():
            if name not in known and not is_told:
                raise ValueError(f"unknown filter {name!r}; known are {', '.join(known)}")
        if names is not None and len(set(names)) != len(names):
            raise ValueError("a filter comes twice; name each once")
        return names

    @model_validator(mode="after")
    def _ordered_limits(self) -> Self:
        """Refuse a lower and an upper limit of one score that no pair can meet together."""
        for lower, upper in product(FILTERS.values(), FILTERS.values()):
            if upper.at_most is None or lower.at_most is not None or lower.score != upper.score:
                continue
            low, high = getattr(self, lower.limit_name), getattr(self, upper.limit_name)
            if low is not None and high is not None and not lower.keeps(high, low):
                raise ValueError(
                    f"{lower.limit_name} is {low}, above {upper.limit_name} {high}; no pair could pass; "
                    f"lower {lower.limit_name} or raise {upper.limit_name}"
                )
        return self

    def active(self) -> tuple[str, ...]:
        """The filters and rules that judge, in the recipe's order: those whose limit or rule is null do not."""
        names = [*FILTERS, *self.rules] if self.filters is None else self.filters
        return tuple(name for name in names if self._judges(name))

    def _judges(self, name: str) -> bool:
        limit_or_rule = self.rules[name] if name in self.rules else getattr(self, get_filter(name).limit_name)
        return limit_or_rule is not None

    def switched_off(self) -> tuple[str, ...]:
        """The rules that the recipe names and that are null."""
        return tuple(name for name, rule in self.rules.items() if rule is None)

    def limits(self) -> dict[str, float]:
        """The limit of every active filter, by the limit's name."""
        names = [get_filter(name).limit_name for name in self.active() if name in FILTERS]
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
            limit.number_type | None,
            Field(limit.default, ge=limit.minimum, le=limit.maximum, description=limit.description),
        )
        for limit in limits.values()
    }


# Any: mypy knows no class that is made at run time; ActiveFilters beside it below gives the types that it has.
FilterSettings: Any = create_model("FilterSettings", __base__=ActiveFilters, **limit_fields())


ENGINES = ("auto", "in_process", "ray")


class DecideConfig(Section):
    """How the rules over the corpus run; what comes out is the same."""

    engine: Annotated[str, one_of(ENGINES)] = Field(
        "auto",
        description="where: `in_process`, on `ray`, or `auto`: in this process where the rows fit in memory",
    )

    memory: int = Field(
        1024,
        ge=1,
        description="MiB of rows that one process holds; more rows are decided on Ray Data, in parts of this size",
    )


class LookConfig(Section):
    """How images are decoded and shown to models; what comes out is the same."""

    batch_size: int = Field(64, ge=1, description="pairs that a model is given together")
    workers: int | None = Field(
        None, ge=1, description="actors, each with its own models; null takes as many as `workers`"
    )
    gpus: float = Field(0, ge=0, description="GPUs of an actor; 0 computes on the CPU")


class CurateConfig(FilterSettings, ActiveFilters):
    """Limits of the filters, and how the run goes. The defaults are those of the LOUPE paper (appendix A)."""

    phrases: PhrasesConfig | None = Field(
        None, description="how the phrases of the kept captions are found; null: not at all"
    )
    shard_size: int | None = Field(
        None,
        ge=1,
        description="MiB of kept pairs that a curated shard holds at least, made of consecutive raw shards; "
        "null: every raw shard gives a curated one",
    )
    against: tuple[str, ...] = Field(
        (),
        description="outputs of earlier curations, whose kept pairs count as earlier in rules over the corpus",
    )
    decide: DecideConfig = Field(
        DecideConfig(),
        description="how the rules over the corpus run",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
    look: LookConfig = Field(
        LookConfig(),
        description="how images are decoded and shown to models",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
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
        description="rejected pairs that the report may show, per filter and shard",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
