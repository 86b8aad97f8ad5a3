"""`OUTPUT/no_verdict.json`: the pairs that rules over the corpus could not judge, by rule and cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.common.files import join, read_json, remove_file, write_json
from pipelines.curate.corpus_decision import CorpusDecision
from pipelines.curate.plan import Plan

NO_VERDICT = "no_verdict.json"

Counts = Mapping[str, Mapping[str, int]]
"""Rule → cause → pairs that reached the rule."""


def write_no_verdict(output: str, plan: Plan, decisions: Sequence[CorpusDecision]) -> None:
    """Write the counts of some decisions; no file where the plan has no rule over the corpus."""
    if not plan.corpus_steps():
        remove_file(join(output, NO_VERDICT))
        return
    counts = {rule: of_rule for decision in decisions for rule, of_rule in decision.no_verdict().items()}
    write_json(join(output, NO_VERDICT), counts)


def read_no_verdict(output: str) -> Counts:
    """The counts of the last decision; empty where there are none."""
    stored = read_json(join(output, NO_VERDICT))
    return stored if isinstance(stored, dict) else {}
