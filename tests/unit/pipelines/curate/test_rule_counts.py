"""Counts of the pairs that reach a rule, and the sentences made of their sums."""

from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from curation import scores_of

from pipelines.curate.config import CurateConfig
from pipelines.curate.decide import SET_ASIDE, Decision
from pipelines.curate.funnel import empty_funnel
from pipelines.curate.pairs_without_verdict import add_verdictless
from pipelines.curate.plan import make_plan
from pipelines.curate.rule_counts import counted_notes, rule_counts
from pipelines.curate.rules import PairRule


class Counting(PairRule):
    """Keeps all; counts pairs and those of an even key."""

    kind: Literal["counting"] = "counting"

    def words(self):
        return "keeps: all"

    def limit(self):
        return "any"

    def columns(self):
        return ("key",)

    def fails(self, table):
        return np.zeros(table.num_rows, np.bool_)

    def counts(self, table: pa.Table):
        return {"pairs": table.num_rows, "even": sum(int(key) % 2 == 0 for key in table["key"].to_pylist())}

    def notes(self, counts):
        return [f"{counts['even']} of {counts['pairs']} keys are even."]


@pytest.fixture
def plan():
    return make_plan(
        CurateConfig(rules={"count": Counting()}, min_side=0, min_words=1, max_words=None, max_aspect=None)
    )


def test_pairs_that_an_earlier_rule_drops_or_that_are_set_aside_do_not_count(plan):
    names = [step.name for step in plan.steps]
    place, earlier = names.index("count"), 0
    assert place > earlier
    bare = CurateConfig(min_side=None, min_words=None, max_words=None, max_aspect=None)
    scores = scores_of([{"key": str(number)} for number in range(6)], config=bare)
    bits = np.array([0, 0, 1 << earlier, SET_ASIDE, 1 << place, 0], np.int64)
    decision = Decision(bits, {}, empty_funnel(plan))
    counts = rule_counts(scores, decision, plan)
    assert counts == {"count": {"pairs": 4, "even": 2}}  # 0, 1, 4, 5
    whole = add_verdictless([counts, counts])
    assert counted_notes(plan, whole) == ["count: 4 of 8 keys are even."]
    assert counted_notes(plan, {}) == []
