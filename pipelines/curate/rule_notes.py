"""`OUTPUT/rule_notes.json`: what a person must know of how the rules over the corpus went, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.common.files import join, read_json, remove_file, write_json
from pipelines.curate.corpus_decision import CorpusDecision
from pipelines.curate.plan import Plan
from pipelines.curate.rules import CorpusRule

RULE_NOTES = "rule_notes.json"


def rule_notes(plan: Plan, decisions: Sequence[CorpusDecision]) -> list[str]:
    """The sentences of some decisions, each after the rule's name, in the order of the steps."""
    said = []
    for decision in decisions:
        for number, counts in decision.counts().items():
            step = plan.steps[number]
            assert isinstance(step.rule, CorpusRule)
            said += [f"{step.name}: {sentence}" for sentence in step.rule.notes(counts)]
    return said


def write_rule_notes(output: str, notes: Sequence[str]) -> None:
    """Write the sentences; no file where there are none."""
    if notes:
        write_json(join(output, RULE_NOTES), list(notes))
    else:
        remove_file(join(output, RULE_NOTES))


def read_rule_notes(output: str) -> list[str]:
    """The sentences of the last decision; empty where there are none."""
    stored = read_json(join(output, RULE_NOTES))
    return [str(sentence) for sentence in stored] if isinstance(stored, list) else []
