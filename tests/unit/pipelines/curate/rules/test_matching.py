"""The comparison of stored scores, the band, the counts, and the folders that are refused without loading a model."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from tiny_matching import tiny_config, tiny_matching
from tiny_models import tiny_dual_encoder
from transformers import BlipForConditionalGeneration, BlipForQuestionAnswering

from data_filters.errors import InputError
from data_filters.matching import MatchingSettings, write_settings
from pipelines.curate.config import CurateConfig
from pipelines.curate.look import matcher
from pipelines.curate.plan import make_plan
from pipelines.curate.rules.matching import MatchingRule


@pytest.fixture(scope="module")
def blip(tmp_path_factory):
    return tiny_matching(tmp_path_factory.mktemp("blip"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return tiny_dual_encoder(tmp_path_factory.mktemp("clip"))


def stored(itm, **columns) -> pa.Table:
    count = len(itm)
    plain = {"itc": [0.0] * count, "caption_cut": [False] * count, "image_hash": [bytes([255] * 16)] * count}
    return pa.table({"itm": pa.array(itm, pa.float64()), **plain, **columns})


def test_a_pair_passes_from_the_limit_on(blip):
    rule = MatchingRule(model=blip)
    rule.check()
    table = stored([0.5, np.nextafter(0.5, 0), None, math.nan, 0.9])
    assert rule.fails(table).tolist() == [False, True, True, True, False]
    assert rule.values(table)[0] == 0.5
    assert rule.score_limits() == {"itm": [0.5]}
    free = MatchingRule(model=blip, min_itm=None)
    assert free.fails(table).tolist() == [False, False, True, True, False]
    assert (rule.limit(), free.limit()) == ("at least 0.5", "any")
    assert MatchingRule(model=blip, name="l").columns() == ["l_itm", "l_itc", "l_caption_cut"]


def test_a_band_settles_what_lies_outside_it_whatever_itm_says(blip):
    rule = MatchingRule(model=blip, after={"score": "clip_similarity", "below": 0.2, "above": 0.4})
    cheap = [0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5, None, math.nan]
    itm = [None, 0.9, 0.4, 0.6, 0.4, None, 0.1, 0.8, 0.2]
    table = stored(itm, clip_similarity=pa.array(cheap))
    assert rule.fails(table).tolist() == [True, True, True, False, True, False, False, False, True]
    assert rule.values(table)[:4] == ["clip_similarity 0.1", "clip_similarity 0.1", 0.4, 0.6]
    assert rule.limit() == "at least 0.5; dropped below clip_similarity 0.2, kept above clip_similarity 0.4"
    assert rule.score_limits() == {"itm": [0.5], "clip_similarity": [0.2, 0.4]}


def test_counts_and_what_is_said_of_them(blip):
    rule = MatchingRule(model=blip, after={"score": "itc", "below": 0.2, "above": 0.4, "sample": 0.5})
    first, last = bytes(16), bytes([255] * 16)  # in the sample, and not
    rows = [  # itc, itm, hash, cut
        (0.1, None, last, True), (0.1, 0.9, last, False), (0.1, 0.9, first, False), (0.1, 0.4, first, True),
        (0.3, 0.9, first, False), (0.5, None, last, False), (0.5, 0.4, first, False),
    ]  # fmt: skip
    itc, itm, hashes, cut = zip(*rows, strict=True)
    table = stored(itm, itc=pa.array(itc), image_hash=pa.array(hashes), caption_cut=pa.array(cut))
    counts = rule.counts(table)
    assert counts == {
        "captions_cut": 2, "pairs": 7, "below": 2, "above": 1, "sampled": 3, "changed": 2,
    }  # fmt: skip
    assert rule.notes(counts) == [
        "2 captions were longer than the model reads, and were cut.",
        "3 of 7 pairs (42.9 %) were settled by itc without ITM: 2 dropped, 1 kept. Of 3 more that it settles and ITM "
        "was asked about all the same, 2 have another verdict by ITM.",
    ]
    assert rule.notes({"captions_cut": 0}) == []


def test_a_band_waits_for_the_score_it_reads_and_changes_no_setting(blip, clip):
    rules = {
        "match": {"kind": "matching", "model": blip, "after": {"score": "clip_similarity", "below": 0.2}},
        "clip": {"kind": "dual_encoder", "model": clip, "min_score": None},
    }
    plan = make_plan(CurateConfig(rules=rules))
    assert [group.name for group in plan.looks] == ["dual-encoder-clip", "matching"]
    without = make_plan(CurateConfig(rules={"match": {"kind": "matching", "model": blip}}))
    assert plan.looks[1].settings() == without.looks[0].settings()
    with pytest.raises(
        InputError, match="rules.match reads the score 'clip_similarity', which nothing computes"
    ):
        make_plan(CurateConfig(rules={"match": rules["match"]}))
    rules["other"] = {"kind": "matching", "model": blip}
    with pytest.raises(InputError, match="rules.other needs the scores matching for other pairs"):
        make_plan(CurateConfig(rules=rules))
    rules["other"] |= {"name": "b", "after": {"score": "itc", "above": 0.2}}
    assert len(make_plan(CurateConfig(rules=rules)).looks) == 3
    rules["match"]["after"]["score"] = "b_itc"
    rules["other"]["after"]["score"] = "a_itc"
    rules["match"]["name"] = "a"
    with pytest.raises(InputError, match="wait for each other"):
        make_plan(CurateConfig(rules=rules))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"min_itm": None, "after": {"score": "itc", "below": 0.1}}, "min_itm is null"),
        ({"after": {"score": "itm", "below": 0.1}}, "name a cheaper score"),
        ({"after": {"score": "itc"}}, "below and above are null"),
        ({"after": {"score": "itc", "below": 0.5, "above": 0.1}}, "swap them"),
        ({"name": "../x"}, "String should match"),
        ({"precision": "fp8"}, "fp32"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, match):
    with pytest.raises(ValidationError, match=match):
        MatchingRule(model="m", **options)


def copied(blip: str, folder: Path) -> Path:
    shutil.copytree(blip, folder)
    return folder


def captioning(folder: Path, blip: str) -> None:
    tiny_matching(folder, BlipForConditionalGeneration(tiny_config()))


def answering(folder: Path, blip: str) -> None:
    tiny_matching(folder, BlipForQuestionAnswering(tiny_config()))


def dual(folder: Path, blip: str) -> None:
    tiny_dual_encoder(folder)


def headless(folder: Path, blip: str) -> None:
    weights = load_file(copied(blip, folder) / "model.safetensors")
    kept = {name: values for name, values in weights.items() if not name.startswith("itm_head")}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def without(*names: str):
    def make(folder: Path, blip: str) -> None:
        copied(blip, folder)
        for name in names:
            (folder / name).unlink()

    return make


def pickled(folder: Path, blip: str) -> None:
    copied(blip, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def cut(folder: Path, blip: str) -> None:
    path = copied(blip, folder) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def unknown_token(folder: Path, blip: str) -> None:
    write_settings(str(copied(blip, folder)), MatchingSettings("[NEW]"))


def other_size(folder: Path, blip: str) -> None:
    path = copied(blip, folder) / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "size": {"height": 48, "width": 48}}))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda folder, blip: None, "there is no folder"),
        (dual, r"a CLIPModel \(model_type clip\), which has no image-text matching head"),
        (captioning, r"a BlipForConditionalGeneration \(model_type blip\)"),
        (answering, r"a BlipForQuestionAnswering \(model_type blip\)"),
        (headless, r"lack 2 tensors, the first is itm_head\.bias; they would be made up at random"),
        (without("tokenizer.json"), "holds no tokenizer"),
        (without("preprocessor_config.json"), "holds no image processor"),
        (without("model.safetensors"), "holds no weights"),
        (without("config.json"), r"holds no config\.json"),
        (pickled, r"weights are pytorch_model\.bin, pickled.*allow_pickle"),
        (cut, r"model\.safetensors has \d+ bytes, its header tells of"),
        (unknown_token, r"first token '\[NEW\]', which its tokenizer does not know"),
        (other_size, "takes images of 32 x 32 px and whose image processor makes 48 x 48 px"),
    ],
)
def test_what_cannot_be_used_is_refused_without_loading_it(blip, tmp_path, monkeypatch, make, match):
    make(tmp_path / "model", blip)
    monkeypatch.setattr(matcher, "load_model", None)  # loading one would fail
    with pytest.raises(InputError, match=match) as caught:
        MatchingRule(model=str(tmp_path / "model")).check()
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "model") in str(caught.value)


def test_without_a_model_the_rule_says_how_to_give_one():
    with pytest.raises(InputError, match="rules.match: model is null, and the rule needs one"):
        make_plan(CurateConfig(rules={"match": {"kind": "matching"}}))


def test_pickled_weights_are_taken_where_allowed(blip, tmp_path):
    pickled(tmp_path / "model", blip)
    MatchingRule(model=str(tmp_path / "model"), allow_pickle=True).check()
    headless(tmp_path / "headless", blip)
    torch.save(
        load_file(tmp_path / "headless" / "model.safetensors"), tmp_path / "model" / "pytorch_model.bin"
    )
    with pytest.raises(InputError, match="lack 2 tensors, the first is itm_head"):
        MatchingRule(model=str(tmp_path / "model"), allow_pickle=True).check()
