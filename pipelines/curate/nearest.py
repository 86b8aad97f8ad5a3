"""Pairs nearest to a rule's limit, on either side, for the report: where to look when a limit is to be moved."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from typing_extensions import TypeIs

from pipelines.curate.examples import (
    READERS,
    Example,
    example_of,
    names_with_decisions,
    read_or_none,
    short_value,
)
from pipelines.curate.other_pairs import hides
from pipelines.curate.pair_picture import caption_and_picture
from pipelines.curate.plan import Plan, Step
from pipelines.curate.scores.facts import FACTS, members_at
from pipelines.curate.scores.storage import facts_identity, read_identity, scores_uri
from pipelines.curate.status import decisions_uri
from pipelines.curate.stored_scores import ScoredShard, StoredScores
from pipelines.shards.batches import parts_of
from pipelines.shards.unit import Unit

SHOWN = 6  # pairs of a side


class Measured(Protocol):
    """A rule of one pair whose nearest pairs are shown."""

    def columns(self) -> Sequence[str]:
        """As `PairRule` says."""
        ...

    def limit(self) -> str:
        """As `PairRule` says."""
        ...

    def margins(self, table: pa.Table) -> npt.NDArray[np.float64]:
        """How far above the limit (below it: negative) the score of each row is; NaN where no score decides."""
        ...


@dataclass(frozen=True, order=True)
class _Near:
    """A pair by raw shard and row, the nearest first."""

    distance: float
    name: str
    row: int
    margin: float


def nearest_pairs(output: str, plan: Plan, most: int = SHOWN) -> dict[str, list[Example]]:
    """Of each rule with `margins` the nearest pairs below its limit, then those above it, from the limit outwards.

    Of pairs that pass every rule before it, and that no rule with `hides_content` rejects, in the shards among which
    examples are chosen.
    """
    steps = {number: step for number, step in enumerate(plan.steps) if has_margins(step.rule)}
    if not steps or not most:
        return {}
    found: dict[str, list[Example]] = {}
    with ThreadPoolExecutor(READERS) as pool:
        names = names_with_decisions(output)
        for number, step in steps.items():
            near = pool.map(lambda name: _near(output, name, plan, number, most), names)  # noqa: B023
            every = sorted(one for of_shard in near for one in of_shard)
            sides = (
                [one for one in every if (one.margin < 0) == is_below][:most] for is_below in (True, False)
            )
            chosen = [one for side in sides for one in side]
            examples = pool.map(lambda one: _example(output, one, step), chosen)  # noqa: B023
            found[step.name] = [example for example in examples if example is not None]
    return {name: examples for name, examples in found.items() if examples}


def has_margins(rule: object) -> TypeIs[Measured]:
    """Whether the nearest pairs of a rule are shown."""
    return hasattr(rule, "margins")


def _near(output: str, name: str, plan: Plan, number: int, most: int) -> list[_Near]:
    """The nearest pairs of a shard, at most `most` of each side."""
    decisions = read_or_none(decisions_uri(output, name), ["bits"])
    about, rows = facts_identity(name, output)
    rule = plan.steps[number].rule
    if decisions is None or not about or decisions.num_rows != rows or not has_margins(rule):
        return []
    stored = StoredScores(output, (ScoredShard(name, str(about["sha256"]), rows),), plan)
    margins = rule.margins(stored.load(0, list(rule.columns())))
    hiding = sum(1 << place for place, step in enumerate(plan.steps) if hides(step))
    bits = decisions.column("bits").to_numpy()
    reaches = (bits & np.int64((1 << number) - 1 | hiding)) == 0
    found = []
    for is_side in (margins < 0, margins >= 0):  # NaN is on neither
        side = np.flatnonzero(is_side & reaches)
        nearest = side[np.argsort(np.abs(margins[side]), kind="stable")[:most]]
        found += [_Near(abs(float(margins[row])), name, row, float(margins[row])) for row in nearest.tolist()]
    return found


def _example(output: str, near: _Near, step: Step) -> Example | None:
    """What the report shows of a pair; None where its scores cannot be read."""
    facts = read_or_none(scores_uri(output, FACTS, near.name), ["key", "members", "width", "height"])
    about = read_identity(near.name, output)
    if facts is None or not about or near.row >= facts.num_rows:
        return None
    rows = np.array([near.row], np.int64)
    (pair,) = facts.select(["key", "width", "height"]).take(pa.array(rows)).to_pylist()
    unit = Unit(near.name, about["uri"], about["size"])
    caption, picture = caption_and_picture(unit, parts_of(members_at(facts, rows)[0]), about)
    side = "below" if near.margin < 0 else "above"
    return example_of(step, unit, pair, f"{short_value(str(near.distance))} {side}", caption, picture)
