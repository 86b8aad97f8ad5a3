"""The comparison of stored cosines, and how the rule serves rules over the corpus."""

import math

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from tiny_models import tiny_classifier, tiny_dual_encoder

from data_filters.errors import InputError
from pipelines.curate.config import CurateConfig
from pipelines.curate.plan import make_plan
from pipelines.curate.rules.dual_encoder import DualEncoderRule


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return tiny_dual_encoder(tmp_path_factory.mktemp("clip"))


def plan(**rules):
    return make_plan(CurateConfig(rules=rules))


def test_a_pair_passes_from_the_limit_on(clip):
    rule = DualEncoderRule(model=clip, name="b32")
    rule.check()
    assert rule.columns() == ("b32_similarity",)
    stored = pa.table({"b32_similarity": pa.array([0.3, np.nextafter(0.3, 0), None, math.nan, -0.5])})
    assert rule.fails(stored).tolist() == [False, True, True, True, True]
    assert rule.values(stored)[0] == 0.3
    free = DualEncoderRule(model=clip, name="b32", min_score=None)
    assert free.fails(stored).tolist() == [False, False, True, True, False]
    assert (rule.limit(), free.limit()) == ("at least 0.3", "any")


def test_top_fraction_and_near_embeddings_judge_behind_it(clip):
    made = plan(
        best={"kind": "top_fraction", "score": "clip_similarity", "fraction": 0.3},
        near={"kind": "near_embeddings"},
        alike={"kind": "dual_encoder", "model": clip, "min_score": None, "embeddings": True},
    )
    assert [step.name for step in made.steps][-3:] == ["alike", "best", "near"]
    assert [step.looks for step in made.steps][-3:] == [True] * 3
    assert made.looks[0].schema().names == ["clip_similarity", "embedding"]


def test_near_embeddings_without_embeddings_is_refused(clip):
    alike = {"kind": "dual_encoder", "model": clip}
    with pytest.raises(
        InputError, match="rules.near reads the score 'embedding', which nothing computes"
    ) as caught:
        plan(alike=alike, near={"kind": "near_embeddings"})
    assert "\n" not in str(caught.value)


def test_near_images_needs_no_other_rule():
    made = plan(near={"kind": "near_images"})
    assert [group.name for group in made.looks] == ["pdq"]
    assert made.steps[-1].looks


def test_two_models_under_one_name_are_refused(clip, tmp_path):
    other = tiny_dual_encoder(tmp_path / "siglip", "siglip")
    rules = {
        "one": {"kind": "dual_encoder", "model": clip},
        "other": {"kind": "dual_encoder", "model": other},
    }
    with pytest.raises(InputError, match="rules.other needs the scores dual-encoder-clip"):
        plan(**rules)
    rules["other"]["name"] = "siglip"
    assert len(plan(**rules).looks) == 2
    rules["other"] = {"kind": "dual_encoder", "model": clip, "min_score": 0.5}
    assert len(plan(**rules).looks) == 1


def test_what_cannot_be_used_is_refused(clip, tmp_path):
    with pytest.raises(ValidationError, match="String should match"):
        DualEncoderRule(model=clip, name="../x")
    for folder, match in ((tmp_path / "none", "no folder"), (tmp_path / "vit", "without embeddings")):
        tiny_classifier(tmp_path / "vit")
        with pytest.raises(InputError, match=match):
            DualEncoderRule(model=str(folder)).check()
    for name, what in (("tokenizer.json", "tokenizer"), ("preprocessor_config.json", "image processor")):
        broken = tmp_path / what
        tiny_dual_encoder(broken)
        (broken / name).unlink()
        with pytest.raises(InputError, match=f"which holds no {what}"):
            DualEncoderRule(model=str(broken)).check()
