"""The plan in words: populations by hand, recall from the rule's own curve."""

from pipelines.curate.config import CurateConfig
from pipelines.curate.plan import make_plan
from pipelines.curate.plan_words import plan_words

RULES = {
    "near": {"kind": "near_captions", "min_similarity": 0.8},
    "formats": {"kind": "formats", "allow": ["jpeg"]},
}


def test_every_rule_says_over_whom_it_judges():
    config = CurateConfig(max_aspect=None, min_words=None, rules=RULES)
    found = plan_words(make_plan(config))
    assert [(number, name, population) for number, name, _, population in found.rules] == [
        ("1", "small_image", "all pairs"),
        ("2", "many_words", "pairs that pass the rule before it"),
        ("3", "formats", "pairs that pass the 2 rules before it"),
        ("4", "near", "pairs that pass the 3 rules before it"),
    ]
    assert found.groups == {"scan": ["facts", "filters", "word_sets"]}


def test_recall_of_near_duplicates_is_that_of_the_formula():
    """1 - (1 - s^rows)^bands (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4.2)."""
    plan = make_plan(CurateConfig(rules=RULES))
    found = plan_words(plan)
    assert list(found.recall) == ["near"]
    bands = plan.steps[-1].rule.bands()
    for distance, recall in found.recall["near"]:
        assert abs(recall - (1 - (1 - (1 - distance) ** bands.rows) ** bands.bands)) < 1e-9
    head, (row,) = found.recall_table("near")
    assert (head[0], head[1], head[-1], row[0], row[1]) == ("near: distance", "0", "0.2", "recall", "1.0000")
    assert len(head) == len(row)
    assert plan_words(make_plan(CurateConfig())).recall == {}
    assert found.as_json()["rules"][0][1] == "small_image"
