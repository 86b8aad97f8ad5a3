"""Decisions over the corpus: what is dropped, kept in files and taken over; in this process."""

import pytest
from curation import curate_one, scanned, store
from curation_rules import FewLetters, SameCaption
from raw_shards import CAPTION, pairs, picture, write_tar

from pipelines.curate import corpus_decision
from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus_decision import CorpusDecision, Shards, decide_corpus, decision_keys
from pipelines.curate.decide import decide
from pipelines.curate.earlier_outputs import earlier_outputs
from pipelines.curate.inputs import find_units
from pipelines.curate.plan import make_plan
from pipelines.curate.rules.near_images import NearImages
from pipelines.curate.tasks import LookShard, WriteShard

CONFIG = CurateConfig(min_side=64, rules={"same": SameCaption(), "again": SameCaption()})
CONFIG_OF_PAIRS = CurateConfig(min_side=64)


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


def test_pairs_of_earlier_outputs_come_first_and_their_shards_have_negative_numbers(tmp_path):
    """Caption 0 is kept in the earlier output, caption 1 is not; both come again in the new shard, 1 twice."""
    earlier_pairs = pairs(2, "old") | {"old00001.jpg": picture(40, 40)}
    write_tar(tmp_path / "raw-old" / "7.tar", earlier_pairs)
    (old,) = find_units(str(tmp_path / "raw-old"))
    curate_one(old, str(tmp_path / "old"), CONFIG_OF_PAIRS)
    write_tar(tmp_path / "raw" / "0.tar", pairs(2) | {"z.jpg": picture(), "z.txt": f"{CAPTION} number 1"})
    (unit,) = find_units(str(tmp_path / "raw"))
    scores = scanned(unit, CONFIG)
    store(scores, str(tmp_path / "out"), CONFIG)
    plan, shards = make_plan(CONFIG), Shards(("0",), bytes.fromhex(scores.sha256), (3,))
    against = earlier_outputs([str(tmp_path / "old")], plan)
    decision = decide_corpus(plan, CONFIG, shards, str(tmp_path / "out"), against=against)
    earlier_rank = -(1 << 62)
    assert decision.drops("0")[4].to_pylist() == [
        {"rank": 0, "other": earlier_rank, "value": 2.0},
        {"rank": 2, "other": 1, "value": 2.0},
    ]
    assert decision.shard_names() == {0: "0", earlier_rank >> 32: f"{tmp_path}/old/7"}
    assert decision_keys(plan, CONFIG, shards, against) == [decision.key]
    assert decision_keys(plan, CONFIG, shards) != [decision.key]


def test_rules_behind_a_look_decide_about_what_is_left(tmp_path):
    """Before the look caption 1 of shard 1 goes; after it the same picture; a pair that does not decode is set aside.

    Shard 0: seeds 0 and 1. Shard 1: caption 1 with the picture of seed 5; seed 0 again under a new caption; half a PNG.
    """
    whole = picture(seed=8, format="PNG")
    broken = whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :]
    write_tar(tmp_path / "raw" / "0.tar", pairs(2))
    again = {"a.jpg": picture(seed=5), "a.txt": f"{CAPTION} number 1"}
    again |= {"b.jpg": picture(seed=0), "b.txt": "a new caption", "c.png": broken, "c.txt": "half a picture"}
    write_tar(tmp_path / "raw" / "1.tar", again)
    config = CurateConfig(rules={"same": SameCaption(), "near": NearImages(kind="near_images")})
    plan, output = make_plan(config), str(tmp_path / "out")
    units = find_units(str(tmp_path / "raw"))
    scans = [scanned(unit, config) for unit in units]
    for scores in scans:
        store(scores, output, config)
    shards = Shards(("0", "1"), b"".join(bytes.fromhex(scores.sha256) for scores in scans), (2, 3))

    early = decide_corpus(plan.before_look, config, shards, output)
    assert early.steps() == [4]
    assert early.drops("1")[4].column("rank").to_pylist() == [1 << 32]
    for unit in units:
        LookShard(plan, output, early, None, 8)(unit)
    late = decide_corpus(plan, config, shards, output, earlier=early)
    assert late.steps() == [5]
    assert late.drops("0")[5].num_rows == 0
    assert late.drops("1")[5].to_pylist() == [{"rank": 1 << 32 | 1, "other": 0, "value": 0.0}]
    assert decision_keys(plan, config, shards) == [early.key, late.key]
    # The first decision still stands, and both are taken over.
    assert decide_corpus(plan.before_look, config, shards, output) == early
    assert decide_corpus(plan, config, shards, output, earlier=early) == late

    result = WriteShard(config, plan, output, [early, late], frozenset(), True)(units[1])
    funnel = {counts["name"]: counts["rejected_in_order"] for counts in result["funnel"]["filters"]}
    assert (funnel["same"], funnel["near"], result["funnel"]["kept"]) == (1, 1, 0)
    assert result["funnel"]["quarantined"] == 1


def test_options_of_rules_are_in_the_key(corpus):
    """Also those of a class that RULES does not name."""
    _, scans = corpus
    shards = Shards(tuple(scans), bytes(96), (2, 3, 1))
    rules = {"e": FewLetters(least=1), "same": SameCaption()}
    keys = []
    for changed in (rules, {**rules, "e": FewLetters(least=2)}, rules):
        config = CurateConfig(rules=changed)
        keys += decision_keys(make_plan(config), config, shards)
    assert keys[0] == keys[2] != keys[1]
