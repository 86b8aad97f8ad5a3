"""The plan of a run in words: the order of the rules with the population of each, the scores, the recall of banding."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pipelines.curate.plan import LimitRule, Plan

HEAD = ("", "filter", "rule", "judges")


@dataclass(frozen=True)
class PlanWords:
    """A plan for people.

    `rules`: number, name, words, population. `groups`: the scores that each phase computes. `recall`: of each rule on
    near duplicates, rows (distance, probability that two pairs at it are compared).
    """

    rules: list[tuple[str, str, str, str]]
    groups: dict[str, list[str]]
    recall: dict[str, list[tuple[float, float]]]

    # Any: the values are those of JSON.
    def as_json(self) -> dict[str, Any]:
        """Every field, for machines."""
        return asdict(self)

    def recall_table(self, name: str) -> tuple[list[str], list[list[str]]]:
        """(head, rows) of a rule's recall: distances from left to right."""
        rows = self.recall[name]
        return (
            [f"{name}: distance", *(f"{distance:g}" for distance, _ in rows)],
            [["recall", *(f"{recall:.4f}" for _, recall in rows)]],
        )


def plan_words(plan: Plan) -> PlanWords:
    """Describe a plan."""
    rules = []
    for number, step in enumerate(plan.steps):
        before = "all pairs" if not number else f"pairs that pass the {number} rules before it"
        if number == 1:
            before = "pairs that pass the rule before it"
        rules.append((str(number + 1), step.name, step.rule.words(), before))
    groups = {"scan": ["facts", *(group.name for group in plan.groups)]}
    if plan.looks:
        groups["look"] = [group.name for group in plan.looks]
    recall = {
        step.name: step.rule.recall_by_distance()
        for step in plan.steps
        if not isinstance(step.rule, LimitRule) and hasattr(step.rule, "recall_by_distance")
    }
    return PlanWords(rules, groups, recall)
