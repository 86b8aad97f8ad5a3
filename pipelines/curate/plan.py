"""The order in which a recipe's rules judge: those that look at one pair first, then those over the corpus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_filters import get_filter, score_names
from data_filters.errors import InputError
from data_filters.filter import Filter
from pipelines.curate.config import CurateConfig
from pipelines.curate.rules import CorpusRule, PairRule
from pipelines.curate.scores.facts import FACTS_SCHEMA
from pipelines.curate.scores.filter_scores import FilterScores
from pipelines.curate.scores.group import Group

MOST_RULES = 63  # what the bits of an int64 can name


@dataclass(frozen=True)
class LimitRule:
    """A filter of `data_filters.FILTERS` with the recipe's limit, as a rule that looks at one pair."""

    filter: Filter
    value: float

    def columns(self) -> Sequence[str]:
        """The filter's score."""
        return (self.filter.score,)

    def fails(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Whether each row fails; NaN does."""
        scores = table.column(self.filter.score).to_numpy()
        kept: npt.NDArray[np.bool_] = self.filter.keeps(scores, self.value)
        return ~kept

    def values(self, table: pa.Table) -> list[Any]:
        """The scores."""
        return table.column(self.filter.score).to_pylist()

    def words(self) -> str:
        """The rule in words, with its unit."""
        return self.filter.rule(self.value)

    def limit(self) -> str:
        """The limit."""
        return f"{self.value:g}"


@dataclass(frozen=True)
class Step:
    """A rule of the recipe under its name; its place in `Plan.steps` is its bit in decisions."""

    name: str
    rule: LimitRule | PairRule | CorpusRule

    @property
    def is_corpus(self) -> bool:
        """Whether the rule needs all shards."""
        return isinstance(self.rule, CorpusRule)


@dataclass(frozen=True)
class Plan:
    """The rules in the order in which they judge, and the groups of scores that they read beside the facts."""

    steps: tuple[Step, ...]
    groups: tuple[Group, ...]

    @property
    def pair_steps(self) -> tuple[Step, ...]:
        """The rules that look at one pair: the first steps."""
        return tuple(step for step in self.steps if not step.is_corpus)

    @property
    def corpus_steps(self) -> tuple[Step, ...]:
        """The rules over the corpus: the last steps."""
        return tuple(step for step in self.steps if step.is_corpus)


def make_plan(config: CurateConfig) -> Plan:
    """Order the recipe's rules.

    Raises InputError when a rule cannot be used, or two need different scores of one name.
    """
    steps = [Step(name, _rule(config, name)) for name in config.active()]
    steps.sort(key=lambda step: step.is_corpus)  # a stable sort: the recipe's order within both kinds
    if len(steps) > MOST_RULES:
        raise InputError(
            f"the recipe has {len(steps)} rules; at most {MOST_RULES} are allowed; join some, or curate in two passes"
        )
    for step in steps:
        if not isinstance(step.rule, LimitRule):
            step.rule.check()
    return Plan(tuple(steps), _groups(steps))


def _rule(config: CurateConfig, name: str) -> LimitRule | PairRule | CorpusRule:
    if name in config.rules:
        rule: PairRule | CorpusRule = config.rules[name]
        return rule
    chosen = get_filter(name)
    return LimitRule(chosen, config.limits()[chosen.limit_name])


def _groups(steps: Iterable[Step]) -> tuple[Group, ...]:
    """The groups that some rules read, each once."""
    groups: dict[str, Group] = {}
    needed = {step.rule.filter.score for step in steps if isinstance(step.rule, LimitRule)}
    if needed:
        # Not in the recipe's order: another order of the rules leaves what is stored valid.
        filters = FilterScores(tuple(name for name in score_names() if name in needed))
        groups[filters.name] = filters
    for step in steps:
        for group in () if isinstance(step.rule, LimitRule) else step.rule.groups():
            before = groups.setdefault(group.name, group)
            if before.settings() != group.settings():
                raise InputError(
                    f"rules.{step.name} needs the scores {group.name} with {dict(group.settings())}, another rule with "
                    f"{dict(before.settings())}; give both rules the same, or curate in two passes"
                )
    columns = list(FACTS_SCHEMA.names)
    for group in groups.values():
        columns += group.schema().names
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two groups of scores have a column {twice}; rename one rule's options")
    return tuple(groups.values())
