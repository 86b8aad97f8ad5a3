"""The order in which a recipe's rules judge: those that look at one pair first, then those over the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_filters import get_filter, score_names
from data_filters.errors import InputError
from data_filters.filter import Filter
from pipelines.curate.config import CurateConfig
from pipelines.curate.look.group import AnyLook, is_look_group, is_sparing, sources_first, stored_schema
from pipelines.curate.rules import CorpusRule, PairRule
from pipelines.curate.scores.facts import FACTS_SCHEMA
from pipelines.curate.scores.filter_scores import FilterScores
from pipelines.curate.scores.group import Group

MOST_RULES = 62  # what the bits of an int64 can name, one of which marks pairs that were set aside


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
    """A rule of the recipe under its name; its place in `Plan.steps` is its bit in decisions.

    `looks`: it judges after phase L.
    """

    name: str
    rule: LimitRule | PairRule | CorpusRule
    looks: bool = False

    @property
    def is_corpus(self) -> bool:
        """Whether the rule needs all shards."""
        return isinstance(self.rule, CorpusRule)


@dataclass(frozen=True)
class Plan:
    """The rules in the order in which they judge, and the groups of scores that they read beside the facts.

    `groups` need no pixels, `looks` do. The rules that judge before phase L are the first steps.
    """

    steps: tuple[Step, ...]
    groups: tuple[Group, ...]
    looks: tuple[AnyLook, ...] = ()

    @property
    def before_look(self) -> Plan:
        """The part of the plan that judges before phase L; the whole plan where nothing looks."""
        return replace(self, steps=tuple(step for step in self.steps if not step.looks), looks=())

    def corpus_steps(self, first: int = 0) -> dict[int, CorpusRule]:
        """The rules over the corpus among the steps from `first` on, by their place."""
        return {
            number: step.rule
            for number, step in enumerate(self.steps)
            if number >= first and isinstance(step.rule, CorpusRule)
        }


def make_plan(config: CurateConfig) -> Plan:
    """Order the recipe's rules.

    Raises InputError when a rule cannot be used, or two need different scores of one name.
    """
    steps = [Step(name, _rule(config, name)) for name in config.active()]
    if len(steps) > MOST_RULES:
        raise InputError(
            f"the recipe has {len(steps)} rules; at most {MOST_RULES} are allowed; join some, or curate in two passes"
        )
    for step in steps:
        if not isinstance(step.rule, LimitRule):
            _check(step.name, step.rule)
    groups = _groups(steps)
    ordered = _ordered(steps, [group for group in groups if is_look_group(group)])
    return Plan(
        tuple(ordered),
        tuple(group for group in groups if not is_look_group(group)),
        tuple(group for group in groups if is_look_group(group)),
    )


def _check(name: str, rule: PairRule | CorpusRule) -> None:
    try:
        rule.check()
    except InputError as error:
        raise InputError(f"rules.{name}: {error}") from error


def _ordered(steps: Sequence[Step], looks: Sequence[AnyLook]) -> list[Step]:
    """The order in which rules judge: what needs no look first, and before and after it those over one pair first.

    A rule over the corpus that stands behind one that looks judges after it, whatever it reads.
    """
    names = {group.name for group in looks}
    columns = {name for group in looks for name in stored_schema(group).names}
    found: list[tuple[int, Step]] = []
    is_behind = False
    for step in steps:
        groups = () if isinstance(step.rule, LimitRule) else step.rule.groups()
        looks_itself = any(group.name in names for group in groups) or bool(
            columns & set(step.rule.columns())
        )
        is_behind = is_behind or looks_itself
        is_late = looks_itself or (is_behind and step.is_corpus)
        found.append((2 * is_late + step.is_corpus, replace(step, looks=is_late)))
    return [
        step for _, step in sorted(found, key=lambda one: one[0])
    ]  # stable: the recipe's order within each


def _rule(config: CurateConfig, name: str) -> LimitRule | PairRule | CorpusRule:
    if name in config.rules:
        rule: PairRule | CorpusRule | None = config.rules[name]
        assert rule is not None  # those that are null are not active
        return rule
    chosen = get_filter(name)
    return LimitRule(chosen, config.limits()[chosen.limit_name])


def _groups(steps: Sequence[Step]) -> list[Group | AnyLook]:
    """The groups that some rules read, each once."""
    groups: dict[str, Group | AnyLook] = {}
    needed = {name for step in steps for name in step.rule.columns()}
    scores = tuple(name for name in score_names() if name in needed)
    if scores:
        # Not in the recipe's order: another order of the rules leaves what is stored valid.
        filters = FilterScores(scores)
        groups[filters.name] = filters
    for step in steps:
        for group in () if isinstance(step.rule, LimitRule) else step.rule.groups():
            before = groups.setdefault(group.name, group)
            if before.settings() != group.settings():
                raise InputError(
                    f"rules.{step.name} needs the scores {group.name} with {dict(group.settings())}, another rule with "
                    f"{dict(before.settings())}; give both rules the same, or curate in two passes"
                )
            if is_sparing(group) and is_sparing(before) and before.band != group.band:
                raise InputError(
                    f"rules.{step.name} needs the scores {group.name} for other pairs than another rule, whose option "
                    "`after` differs; give both rules the same, or the models other names"
                )
    columns = list(FACTS_SCHEMA.names)
    for group in groups.values():
        columns += stored_schema(group).names
    for step in steps:
        for name in step.rule.columns():
            if name not in columns:
                raise InputError(
                    f"rules.{step.name} reads the score {name!r}, which nothing computes; known are "
                    f"{', '.join(dict.fromkeys([*columns, *score_names()]))}; mend it, or add the rule that computes it"
                )
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two groups of scores have a column {twice}; rename one rule's options")
    return sources_first(list(groups.values()))
