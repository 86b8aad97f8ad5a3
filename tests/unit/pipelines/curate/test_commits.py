"""What is kept of manifests, and their sums."""

import pytest

from pipelines.curate import commits
from pipelines.curate.commits import Slim, funnel_of, sum_commits
from pipelines.curate.config import CurateConfig
from pipelines.curate.funnel import funnel_from_json
from pipelines.curate.plan import make_plan

PLAN = make_plan(CurateConfig(filters=["few_words"]))


def manifest(name: str, kept: int, domains: dict[str, int]) -> dict:
    counts = {
        "name": "few_words",
        "words": "w",
        "seen": 9,
        "rejected": 1,
        "rejected_alone": 1,
        "rejected_in_order": 1,
    }
    return {
        "version": 1,
        "format": 2,
        "config_hash": "h",
        "config": {"a": 1},
        "decisions": ["d"],
        "inputs": [{"name": name, "uri": "u", "size": 1, "sha256": "s", "rows": 9, "quarantine": None}],
        "outputs": [{"tar": f"{name}.tar", "index": "i", "samples": kept, "size": 10, "sha256": "t"}],
        "funnel": {
            "samples": 9,
            "quarantined": 0,
            "pairs": 9,
            "kept": kept,
            "filters": [counts],
            "quarantine": {},
        },
        "histograms": {"words": {"3": kept}},
        "contents": {"domains": domains},
        "kept": "k",
        "history": [],
    }


def test_a_slim_manifest_has_what_a_run_asks_for_and_shares_what_is_equal():
    slim = Slim()
    one, two = manifest("0", 3, {}), manifest("1", 4, {})
    first, second = slim(one), slim(two)
    assert funnel_of(first) == funnel_from_json(one["funnel"])
    assert funnel_of(second) == funnel_from_json(two["funnel"]) == funnel_of(two)
    for key in ("version", "format", "config_hash", "config", "decisions"):
        assert first[key] == one[key]
        assert first[key] is second[key]
    assert first["inputs"] == [
        {key: one["inputs"][0][key] for key in ("name", "uri", "size", "sha256", "rows")}
    ]
    assert first["outputs"] == [{"tar": "0.tar", "samples": 3, "size": 10, "sha256": "t"}]
    assert not set(first) & {"histograms", "contents", "history", "kept"}


def test_the_sums_are_those_of_the_manifests():
    totals = sum_commits([manifest("0", 3, {"a": 1, "b": 2}), manifest("1", 4, {"b": 5})], PLAN)
    assert (totals.shards, totals.samples, totals.bytes) == (2, 7, 20)
    assert (totals.funnel.pairs, totals.funnel.kept, totals.funnel.filters[0].seen) == (18, 7, 18)
    assert totals.histograms == {"words": {"3": 7}}
    assert totals.contents == {"domains": {"a": 1, "b": 7}}


def test_names_beyond_the_most_are_counted_together(monkeypatch):
    monkeypatch.setattr(commits, "MOST_NAMES", 2)
    parts = [manifest("0", 1, {"a": 1, "b": 2, "c": 3}), manifest("1", 1, {"b": 4, "d": 5})]
    assert sum_commits(parts, PLAN).contents == {"domains": {"a": 1, "b": 6, commits.OTHER: 8}}


def test_a_funnel_of_another_rule_is_no_part_of_the_sum():
    other = manifest("0", 1, {})
    other["funnel"]["filters"][0]["name"] = "x"
    with pytest.raises(ValueError, match="cannot be added"):
        sum_commits([other], PLAN)
