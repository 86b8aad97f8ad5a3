"""Pairs that a rule of one pair could not judge: counted by hand."""

from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from curation import curate_one, judged, scores_of
from raw_shards import pairs, write_tar

from pipelines.curate.commits import sum_commits
from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units
from pipelines.curate.pairs_without_verdict import add_verdictless, pairs_without_verdict
from pipelines.curate.plan import make_plan
from pipelines.curate.report import found_in
from pipelines.curate.rules import PairRule
from pipelines.curate.rules.leaks import Leaks


class Shy(PairRule):
    """Drops captions of more than 50 words; does not judge those of fewer than 5."""

    kind: Literal["shy"] = "shy"

    def words(self) -> str:
        return "keeps: up to 50 words"

    def limit(self) -> str:
        return "50"

    def columns(self):
        return ("words",)

    def fails(self, table: pa.Table):
        return table.column("words").to_numpy() > 50

    def values(self, table: pa.Table):
        return table.column("words").to_pylist()

    def no_verdict_cause(self) -> str:
        return "short captions"

    def without_verdict(self, table: pa.Table):
        return np.isin(table.column("words").to_numpy(), [3, 4, 60])


CONFIG = CurateConfig(rules={"shy": Shy()})


def pair(key: str, words: float, side: float = 300) -> dict:
    return {"key": key, "shorter_side": side, "aspect_ratio": 1, "words": words}


def test_pairs_that_reach_the_rule_and_stay_are_counted():
    """An earlier rule has dropped `small`, the rule itself `long`: neither is counted."""
    rows = [pair("a", 3), pair("b", 4), pair("c", 9), pair("small", 4, 20), pair("long", 60)]
    scores = scores_of(rows, config=CONFIG)
    assert pairs_without_verdict(scores, judged(scores, CONFIG), make_plan(CONFIG)) == {
        "shy": {"short captions": 2}
    }
    plain = scores_of(rows)
    assert pairs_without_verdict(plain, judged(plain, CurateConfig()), make_plan(CurateConfig())) == {}


def test_sums():
    assert add_verdictless([{"b": {"x": 1}}, {}, {"a": {"y": 2}, "b": {"x": 4, "z": 1}}]) == {
        "a": {"y": 2},
        "b": {"x": 5, "z": 1},
    }


def test_they_stand_in_the_commit_and_the_report(tmp_path):
    members = pairs(2) | {"ok00000.txt": "a short one"}
    write_tar(tmp_path / "raw" / "0.tar", members)
    (unit,) = find_units(str(tmp_path / "raw"))
    _, _, manifest = curate_one(unit, str(tmp_path / "out"), CONFIG)
    assert manifest["no_verdict"] == {"shy": {"short captions": 1}}
    plan = make_plan(CONFIG)
    found = found_in(str(tmp_path / "out"), sum_commits([manifest, manifest], plan), plan)
    assert found.no_verdict == {"shy": {"short captions": 2}}


@pytest.mark.parametrize(("lowest", "expected"), [(50, [True, False, False]), (0, [False] * 3)])
def test_leaks_do_not_judge_pictures_with_little_in_them(lowest, expected):
    rule = Leaks(index=("x",), min_quality=lowest)
    assert rule.no_verdict_cause() == f"images of PDQ quality below {lowest}"
    table = pa.table({"pdq_quality": pa.array([49, 50, None], pa.int16())})
    assert rule.without_verdict(table).tolist() == expected
