"""Decisions over the corpus: what is dropped, kept in files and taken over; in this process."""

import pytest
from curation import scanned, store
from curation_rules import SameCaption
from raw_shards import pairs, picture, write_tar

from pipelines.curate import corpus_decision
from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus_decision import CorpusDecision, Shards, decide_corpus, decision_keys
from pipelines.curate.decide import decide
from pipelines.curate.inputs import find_units
from pipelines.curate.plan import make_plan

CONFIG = CurateConfig(min_side=64, rules={"same": SameCaption(), "again": SameCaption()})


def joined(hashes):
    return b"".join(map(bytes.fromhex, hashes))


@pytest.fixture
def corpus(tmp_path):
    """Three stored shards; captions 0 and 1 come again in the second, 0 also in the third."""
    for name, count in (("0", 2), ("1", 3), ("2", 1)):
        write_tar(tmp_path / "raw" / f"{name}.tar", pairs(count))
    # The first of caption 0 is too small, so that the next one is the first that is left.
    write_tar(tmp_path / "raw" / "0.tar", pairs(2) | {"ok00000.jpg": picture(40, 40)})
    units = find_units(str(tmp_path / "raw"))
    scans = {unit.name: scanned(unit, CONFIG) for unit in units}
    for scores in scans.values():
        store(scores, str(tmp_path / "out"), CONFIG)

    def run(config: CurateConfig = CONFIG, **changed: str) -> CorpusDecision:
        sha256 = joined(changed.get(f"sha{name}", scores.sha256) for name, scores in scans.items())
        rows = tuple(scores.facts.num_rows for scores in scans.values())
        return decide_corpus(
            make_plan(config), config, Shards(tuple(scans), sha256, rows), str(tmp_path / "out")
        )

    return run, scans


def test_what_is_dropped_by_hand(corpus):
    run, scans = corpus
    decision = run()
    assert decision.shard_names() == {0: "0", 1: "1", 2: "2"}
    drops = {name: decision.drops(name) for name in scans}
    assert all(list(of) == [4, 5] for of in drops.values())  # the steps of the two rules
    assert all(of[5].num_rows == 0 for of in drops.values())  # nothing is left for the second
    first = {name: of[4].to_pylist() for name, of in drops.items()}
    assert first == {
        "0": [],
        "1": [{"rank": 1 << 32 | 1, "other": 1, "value": 2.0}],
        "2": [{"rank": 2 << 32, "other": 1 << 32, "value": 2.0}],
    }
    kept = {name: decide(scans[name], make_plan(CONFIG), drops[name]).kept.tolist() for name in scans}
    assert kept == {"0": [1], "1": [0, 2], "2": []}


def test_the_same_decision_is_taken_over_and_another_one_is_made_anew(corpus, monkeypatch, tmp_path):
    run, _ = corpus
    calls, decide_rule = [], SameCaption.decide
    monkeypatch.setattr(SameCaption, "decide", lambda self, of: calls.append(1) or decide_rule(self, of))
    first = run()
    assert len(calls) == 2
    assert run(CONFIG.model_copy(update={"decide": CONFIG.decide.model_copy(update={"memory": 64})})) == first
    assert len(calls) == 2
    keys = {first.key}
    others = [{"sha1": "ff"}, {"config": CONFIG.model_copy(update={"min_side": 65})}]
    others += [{"config": CONFIG.model_copy(update={"against": ("elsewhere",)})}]
    others += [{"config": CONFIG.model_copy(update={"filters": ("small_image", "same")})}]
    for change in others:
        keys.add(run(**change).key)
        decisions = (tmp_path / "out" / "decide" / "before-look").iterdir()
        assert [path.name for path in decisions] == [run(**change).key]
    assert len(keys) == 5


def test_a_decision_that_was_not_finished_is_made_anew(corpus, tmp_path):
    run, _ = corpus
    first = run()
    drops = first.drops("1")
    (tmp_path / "out" / "decide" / "before-look" / first.key / "decision.json").unlink()
    assert run().drops("1") == drops


def test_groups_of_shards_change_nothing(corpus, monkeypatch):
    run, scans = corpus
    whole = {name: run().drops(name) for name in scans}
    monkeypatch.setattr(corpus_decision, "group_rows", lambda rows, memory: 1)
    corpus_decision._about.cache_clear()
    corpus_decision._read.cache_clear()
    ungrouped = run(sha0="00")
    assert {name: ungrouped.drops(name) for name in scans} == whole


def test_the_key_is_known_beforehand_and_tells_rules_and_shards_apart(corpus):
    run, scans = corpus
    plan = make_plan(CONFIG)
    names, sha256 = tuple(scans), joined(scores.sha256 for scores in scans.values())
    rows = tuple(scores.facts.num_rows for scores in scans.values())
    key = run().key
    assert decision_keys(plan, CONFIG, Shards(names, sha256, rows)) == [key]
    assert decision_keys(plan, CONFIG, Shards(names[:2], sha256[:64], rows[:2])) != [key]
    assert decision_keys(plan, CONFIG, Shards(names, sha256[:64] + bytes(32), rows)) != [key]
    other = CONFIG.model_copy(update={"min_side": 70})
    assert decision_keys(make_plan(other), other, Shards(names, sha256, rows)) != [key]
    assert decision_keys(make_plan(CurateConfig()), CurateConfig(), Shards(names, sha256, rows)) == []


def test_a_looser_rule_of_one_pair_leaves_the_first_caption_to_count(corpus):
    run, scans = corpus
    decision = run(CONFIG.model_copy(update={"min_side": 0}))
    assert [decision.drops(name)[4].column("other").to_pylist() for name in scans] == [[], [0, 1], [0]]
