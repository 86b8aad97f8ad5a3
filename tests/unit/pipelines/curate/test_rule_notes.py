"""What rules over the corpus counted: from their reduce to decision.json, the notes and the report."""

import json

import pyarrow as pa
from page_reader import PageReader

from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus.near.buckets import BEYOND, OVERSIZED
from pipelines.curate.corpus.source import TablesInMemory
from pipelines.curate.corpus_decision import CorpusDecision, counted, run_rules
from pipelines.curate.funnel import Funnel
from pipelines.curate.plan import make_plan
from pipelines.curate.report import Found, render
from pipelines.curate.rule_notes import RULE_NOTES, read_rule_notes, rule_notes, write_rule_notes


def decided(folder: str, cap: int) -> tuple[CurateConfig, CorpusDecision]:
    """Five captions that share their first word alone, in one band of one value: few values, hence few buckets."""
    near = {"kind": "near_captions", "min_similarity": 0.5, "rows": 1, "min_recall": 0.01, "cap": cap}
    config = CurateConfig(rules={"near": near})
    plan = make_plan(config)
    assert plan.steps[4].rule.bands().bands == 1
    common = list(range(1, 400))
    words = [sorted([*common, 1000 + 700 * number, 1001 + 700 * number]) for number in range(5)]
    source = TablesInMemory(
        {
            "0": pa.table({"word_set": pa.array(words[:2], pa.list_(pa.uint64()))}),
            "1": pa.table({"word_set": pa.array(words[2:], pa.list_(pa.uint64()))}),
        }
    )
    return config, run_rules(source, counted(plan.corpus_steps(), plan, {}), folder, config, None)


def test_a_large_bucket_is_counted_and_said(tmp_path):
    """Five captions in one bucket; with a cap of 2 the two last have more than two before them."""
    config, decision = decided(str(tmp_path / "decide"), cap=2)
    assert decision.counts() == {4: {OVERSIZED: 1, BEYOND: 2}}
    plan = make_plan(config)
    said = ["near: 1 bucket of more than 2 captions was compared with its earliest 2 only"]
    assert rule_notes(plan, [decision]) == said
    write_rule_notes(str(tmp_path), said)
    assert read_rule_notes(str(tmp_path)) == said == json.loads((tmp_path / RULE_NOTES).read_text())
    assert said[0] in PageReader(render("in", "out", config, Funnel(), Found(rule_notes=said))).text


def test_nothing_to_say_leaves_no_file(tmp_path):
    config, decision = decided(str(tmp_path / "decide"), cap=4)
    assert decision.counts() == {4: {OVERSIZED: 0, BEYOND: 0}}
    (tmp_path / RULE_NOTES).write_text('["old"]')
    write_rule_notes(str(tmp_path), rule_notes(make_plan(config), [decision]))
    assert not (tmp_path / RULE_NOTES).exists()
    assert read_rule_notes(str(tmp_path)) == []
