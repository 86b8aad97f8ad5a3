"""What the parts of a run cost: seconds of a core, and the pairs that they were spent on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipelines.common.html.numbers import short
from pipelines.common.html.parts import quiet, table
from pipelines.curate.scores.facts import FACTS
from pipelines.ray_tasks import Result

LOOK = "look"
DECIDED = "decide"
WRITE = "write"
WORDS = {
    FACTS: "scan: reading, image headers, hashes",
    LOOK: "look: reading the pairs",
    DECIDED: "decide: rules over the corpus, seconds of the run",
    WRITE: "write: kept pairs, phrases, status",
}
HEAD = ("part", "pairs", "core-seconds", "microseconds per pair")


@dataclass(frozen=True)
class Cost:
    """`seconds` that tasks took for a group of scores or a phase, and the `pairs` of these tasks."""

    part: str
    pairs: int
    seconds: float

    @property
    def per_pair(self) -> float:
        """Seconds per pair; 0 without pairs."""
        return self.seconds / self.pairs if self.pairs else 0.0

    def cells(self) -> list[str]:
        """A row under HEAD."""
        words = WORDS.get(self.part, f"scores {self.part}")
        return [words, f"{self.pairs:,}", short(self.seconds), short(1e6 * self.per_pair)]


class Costs:
    """Sums what tasks say of their cost: `seconds` by part, and the `timed_pairs` that they were spent on.

    `damaged`: the files of scores that could not be read and were written anew.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._pairs: dict[str, int] = {}
        self.damaged: list[str] = []

    def add(self, result: Result) -> None:
        """Take in the result of a task."""
        taken: Mapping[str, float] = result.get("seconds", {})
        for part, value in taken.items():
            self._seconds[part] = self._seconds.get(part, 0.0) + value
            self._pairs[part] = self._pairs.get(part, 0) + int(result["timed_pairs"])
        self.damaged += result.get("damaged", ())

    def listed(self) -> list[Cost]:
        """The cost of each part, in the order in which they were first named."""
        return [Cost(part, self._pairs[part], value) for part, value in self._seconds.items()]


def sum_costs(results: Iterable[Result]) -> list[Cost]:
    """Sum what tasks say of their cost."""
    costs = Costs()
    for result in results:
        costs.add(result)
    return costs.listed()


def cost_section(costs: Sequence[Cost]) -> Markup:
    """A table for the report; empty where nothing was computed."""
    if not costs:
        return Markup("")
    text = "Of the last run alone; scores that were stored before cost it nothing. Time spent waiting counts."
    return quiet(text) + table(HEAD, [cost.cells() for cost in costs])
