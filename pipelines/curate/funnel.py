"""The funnel of a run: how many samples were found, could be read, passed each filter, and were kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.curate.plan import Plan

HEAD = ("filter", "rule", "pairs in", "dropped", "fail", "fail only this")
"""Over the cells of `FilterCounts.cells`."""
_COUNTS = ("seen", "rejected", "rejected_alone", "rejected_in_order")


@dataclass
class FilterCounts:
    """One rule's part in a run, in pairs. `words`: the rule with its unit, `keeps: shorter side above 200 px`.

    `seen`: passed every filter before this one. `rejected_in_order`: of these, stopped here. `rejected`: fail this
    filter, whatever the others say. `rejected_alone`: fail this filter and no other, so they would be kept if it were
    switched off.
    """

    name: str
    words: str
    seen: int = 0
    rejected: int = 0
    rejected_alone: int = 0
    rejected_in_order: int = 0

    def cells(self) -> list[str]:
        """The filter's row of a table under HEAD."""
        counts = (self.seen, self.rejected_in_order, self.rejected, self.rejected_alone)
        return [self.name, self.words, *(f"{count:,}" for count in counts)]


@dataclass
class Funnel:
    """Samples from the raw shards to the curated ones."""

    samples: int = 0  # found in the shards
    quarantined: int = 0  # could not be read
    pairs: int = 0  # could be read
    kept: int = 0
    filters: list[FilterCounts] = field(default_factory=list)
    quarantine: dict[str, int] = field(default_factory=dict)  # reason → count
    estimated: int = 0  # of those quarantined, in damaged shards where nothing says how many they were

    # Any: what JSON holds. `dataclasses.asdict` takes many times as long, which a small shard feels.
    def as_json(self) -> dict[str, Any]:
        """The funnel as JSON holds it, in the order of its fields."""
        return {**vars(self), "filters": [dict(vars(counts)) for counts in self.filters]}


def empty_funnel(plan: Plan) -> Funnel:
    """The funnel of no samples, with a line for every rule of the plan, in the order in which they judge."""
    return Funnel(filters=[FilterCounts(step.name, step.rule.words()) for step in plan.steps])


def add_funnels(funnels: Iterable[Funnel], plan: Plan) -> Funnel:
    """Sum the funnels of several shards. Raises ValueError when they are of other rules than the plan's."""
    return add_onto(empty_funnel(plan), funnels)


def add_onto(total: Funnel, funnels: Iterable[Funnel]) -> Funnel:
    """Add funnels to `total`, which has their rules; return it. Raises ValueError when they are of other rules."""
    for funnel in funnels:
        add_to(total, funnel)
    total.quarantine = dict(sorted(total.quarantine.items()))
    return total


def add_to(total: Funnel, funnel: Funnel) -> None:
    """Add a shard's funnel to a sum that began as `empty_funnel`. Raises ValueError when it is of other rules."""
    for name in ("samples", "quarantined", "estimated", "pairs", "kept"):
        setattr(total, name, getattr(total, name) + getattr(funnel, name))
    # A funnel of the rules before phase L lacks those behind it.
    for sums, counts in zip(total.filters, funnel.filters, strict=len(funnel.filters) > len(total.filters)):
        if sums.name != counts.name:
            raise ValueError(f"a funnel with rule {counts.name} cannot be added to one with {sums.name}")
        for name in _COUNTS:
            setattr(sums, name, getattr(sums, name) + getattr(counts, name))
    for reason, number in funnel.quarantine.items():
        total.quarantine[reason] = total.quarantine.get(reason, 0) + number


# Any: the JSON that `Funnel.as_json` makes.
def funnel_from_json(data: Mapping[str, Any]) -> Funnel:
    """Build a Funnel from JSON: the inverse of `Funnel.as_json`."""
    return Funnel(**{**data, "filters": [FilterCounts(**counts) for counts in data["filters"]]})


def funnel_table(funnel: Funnel) -> tuple[list[str], list[list[str]]]:
    """The funnel as a table of text: (head, rows), a row per filter, then the pairs kept, then what was unreadable.

    In the row of the kept pairs `pairs in` counts those that passed every filter; in the rows of unreadable samples
    `rule` is the reason and `dropped` the number of samples.
    """
    rows = [counts.cells() for counts in funnel.filters]
    rows.append(["kept", "", f"{funnel.kept:,}", "", "", ""])
    rows += [
        ["not readable", reason, "", f"{count:,}", "", ""] for reason, count in funnel.quarantine.items()
    ]
    return list(HEAD), rows
