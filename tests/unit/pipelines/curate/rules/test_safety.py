"""The comparison of stored probabilities, and what is refused before a run."""

import math
import pickle

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from tiny_models import tiny_classifier

from data_filters.errors import InputError
from pipelines.curate.look import safety
from pipelines.curate.rules.safety import SafetyRule


def table(rule: SafetyRule, *scores: float | None) -> pa.Table:
    return pa.table({rule.columns()[0]: pa.array(scores, pa.float64())})


def test_a_pair_passes_up_to_the_limit():
    rule = SafetyRule()
    rule.check()
    assert rule.columns() == ("safety_opennsfw_score",)
    stored = table(rule, 0.0, 0.5, np.nextafter(0.5, 1), 1.0, None, math.nan)
    assert rule.fails(stored).tolist() == [False, False, True, True, True, True]
    assert rule.values(stored)[:3] == [0.0, 0.5, np.nextafter(0.5, 1)]
    assert (rule.words(), rule.limit()) == ("keeps: open_nsfw's score at most 0.5", "at most 0.5")


def test_a_lower_limit_alone(tmp_path):
    folder = tiny_classifier(tmp_path / "model")
    rule = SafetyRule(model=folder, label="safe", max_score=None, min_score=0.9)
    rule.check()
    stored = table(rule, 0.9, np.nextafter(0.9, 0), 1.0000001, None, math.nan)
    assert rule.fails(stored).tolist() == [False, True, False, True, True]
    assert rule.limit() == "at least 0.9"
    both = SafetyRule(model=folder, label=0, max_score=1, min_score=0.9)
    assert both.fails(table(both, 0.9, 1.0000001)).tolist() == [False, False]
    assert [group.name for group in both.groups()] == [group.name for group in rule.groups()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "unsafe"}, "opennsfw takes none"),
        ({"model": "/folder"}, "a model of your own needs a label"),
        ({"max_score": None}, "set one of them"),
        ({"min_score": 0.9}, "set max_score: null"),
        ({"max_score": 1.1}, "less than or equal to 1"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        SafetyRule(**options)


def test_check_refuses_what_cannot_be_loaded(tmp_path, monkeypatch):
    folder = tiny_classifier(tmp_path / "model")
    with pytest.raises(InputError, match="its labels are"):
        SafetyRule(model=folder, label="nude").check()
    with pytest.raises(InputError, match="where there is no folder"):
        SafetyRule(model=str(tmp_path / "none"), label=1).check()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"0123456789")
    with pytest.raises(InputError, match="which transformers cannot load"):
        SafetyRule(model=folder, label=1).check()
    monkeypatch.setattr(safety.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match='pip install "loupe'):
        SafetyRule().check()


def test_a_changed_model_is_seen_by_the_next_check_and_a_pickled_rule_needs_no_file(tmp_path):
    folder = tmp_path / "model"
    rule = SafetyRule(model=tiny_classifier(folder), label="unsafe")
    rule.check()
    first = rule.columns()
    tiny_classifier(folder, seed=1)
    assert rule.columns() == first
    rule.check()
    assert rule.columns() != first
    sent = pickle.dumps(rule)
    folder.rename(tmp_path / "elsewhere")
    assert pickle.loads(sent).columns() == rule.columns()
