"""`dataset.json`: sums over the commits, rules in words, and the lists that they read."""

import json

from curation_rules import FewLetters, SameCaption

from pipelines.common.config import output_settings
from pipelines.curate.commits import sum_commits
from pipelines.curate.config import CurateConfig
from pipelines.curate.dataset_page import write_dataset
from pipelines.curate.identity import recipe_hash
from pipelines.curate.plan import make_plan


def manifest(samples: int, licences: dict[str, int]) -> dict:
    outputs = [{"tar": "x.tar", "samples": samples, "size": 100 * samples}] if samples else []
    funnel = {"samples": samples, "filters": []}
    return {
        "inputs": [],
        "outputs": outputs,
        "funnel": funnel,
        "contents": {"licences": licences, "domains": {"a.example": samples}},
    }


def test_counts_are_summed_and_rules_said(tmp_path):
    config = CurateConfig(
        filters=["few_words", "e", "same"], rules={"same": SameCaption(), "e": FewLetters()}
    )
    manifests = {"1": manifest(3, {"MIT": 1, "CC0": 2}), "0": manifest(2, {"CC0": 2}), "2": manifest(0, {})}
    plan = make_plan(config)
    write_dataset(str(tmp_path), sum_commits(manifests.values(), plan), plan, config)
    page = json.loads((tmp_path / "dataset.json").read_text())
    assert page == {
        "version": 1,
        "shards": 2,
        "samples": 5,
        "bytes": 500,
        "config_hash": recipe_hash(config, make_plan(config)),
        "config": output_settings(config),
        "rules": [
            {"name": "few_words", "rule": "keeps: at least 3 words"},
            {"name": "e", "rule": "keeps: e at least 1 times"},
            {
                "name": "same",
                "rule": "keeps: the first of each caption",
                "lists": [{"path": "list.txt", "sha256": "ab", "entries": 2}],
            },
        ],
        "licences": {"CC0": 4, "MIT": 1},
        "domains": {"a.example": 5},
    }


def test_the_order_of_the_commits_changes_no_byte(tmp_path):
    config = CurateConfig()
    plan = make_plan(config)
    manifests = {"1": manifest(3, {"MIT": 1, "CC0": 2}), "0": manifest(2, {"BSD": 2})}
    for folder, order in (("a", manifests), ("b", dict(reversed(manifests.items())))):
        totals = sum_commits(order.values(), plan)
        write_dataset(str(tmp_path / folder), totals, plan, config)
    assert (tmp_path / "a" / "dataset.json").read_bytes() == (tmp_path / "b" / "dataset.json").read_bytes()
