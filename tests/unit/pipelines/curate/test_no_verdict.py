"""Pairs that rules over the corpus could not judge: counted by hand, kept beside the output."""

import pyarrow as pa
from page_reader import PageReader

from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus.source import TablesInMemory
from pipelines.curate.corpus_decision import counted, run_rules
from pipelines.curate.funnel import Funnel
from pipelines.curate.no_verdict import NO_VERDICT, read_no_verdict, write_no_verdict
from pipelines.curate.plan import make_plan
from pipelines.curate.report import Found, render

CONFIG = CurateConfig(rules={"near": {"kind": "near_captions"}})
SIX = [11, 22, 33, 44, 55, 66]


def sets(*words: list[int]) -> pa.Table:
    return pa.table({"word_set": pa.array(words, pa.list_(pa.uint64()))})


def test_captions_without_a_word_are_counted_and_shown(tmp_path):
    """Three of five captions have no word; two of the others are equal."""
    plan = make_plan(CONFIG)
    source = TablesInMemory({"0": sets(SIX, [], []), "1": sets(SIX, [])})
    counts: dict[str, dict[str, int]] = {}
    rules = counted(plan.corpus_steps(), plan, counts)
    decision = run_rules(source, rules, str(tmp_path / "decide"), CONFIG, None, counts)
    assert decision.no_verdict() == {"near": {"captions without a word": 3}}
    assert decision.drops("1")[len(plan.steps) - 1].num_rows == 1
    write_no_verdict(str(tmp_path), plan, [decision])
    found = read_no_verdict(str(tmp_path))
    assert found == {"near": {"captions without a word": 3}}
    page = PageReader(render("in", "out", CONFIG, Funnel(), Found(no_verdict=found)))
    assert "captions without a word" in page.text
    assert "without a verdict" not in PageReader(render("in", "out", CONFIG, Funnel(), Found())).text


def test_a_plan_without_such_rules_leaves_no_file(tmp_path):
    (tmp_path / NO_VERDICT).write_text('{"near": {"x": 1}}')
    write_no_verdict(str(tmp_path), make_plan(CurateConfig()), [])
    assert not (tmp_path / NO_VERDICT).exists()
    assert read_no_verdict(str(tmp_path)) == {}
