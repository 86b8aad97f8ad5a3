"""Input that does not fit is refused before a worker starts; RUN/config.json holds the whole recipe and data."""

from __future__ import annotations

import json

import pytest
import torch
from small_runs import sixteen_pairs, small_recipe, small_run

from data_filters.errors import InputError
from pretrain.training.launch_local import run_local
from pretrain.training.setup import build_module, prepare_run, write_run_config


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return sixteen_pairs(tmp_path_factory.mktemp("data") / "curated")


def test_epochs_become_whole_steps(data, tmp_path):
    schedule = {"steps": None, "epochs": 2.6}
    assert small_run(data, tmp_path / "run", schedule).total_steps == 10  # 4 steps per epoch, rounded down
    assert small_run(data, tmp_path / "run", {"steps": None, "epochs": 0.1}).total_steps == 1


def test_the_record_holds_every_value_and_the_data(data, tmp_path):
    prepared = small_run(data, tmp_path / "run", {}, objectives={"contrastive": {}, "late_interaction": {}})
    write_run_config(prepared)
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["config"]["objectives"]["late_interaction"] == {
        "weight": 1.0,
        "token_share": 1.0,
        "wire": "fp32",
        "chunk_elements": None,
    }
    assert record["config"]["task"] == "dual_encoder"
    assert record["config_hash"] == prepared.config_hash
    assert record["total_steps"] == 12
    assert [shard["samples"] for shard in record["shards"]] == [16]


@pytest.mark.parametrize(
    ("schedule", "sections", "message"),
    [
        ({}, {"data": {"batch_size": 32}}, "data.batch_size is 32, the data has 16 samples"),
        ({}, {"objectives": {"fine_grained": {}}}, "fine_grained need phrases"),
        (
            {},
            {"objectives": {"fine_grained": {}}, "data": {"batch_size": 4, "max_phrases": 0}},
            "data.max_phrases is 0",
        ),
        ({}, {"start": {"weights": "/nowhere", "step": 12}}, "start.step is 12, the run has 12 steps"),
        ({}, {"start": {"weights": "/nowhere", "step": 2}}, "start.weights is '/nowhere'"),
        ({}, {"tokenizer": "/nowhere"}, "tokenizer is '/nowhere'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(schedule, sections, message, data, tmp_path):
    with pytest.raises(InputError, match=message) as refused:
        small_run(data, tmp_path / "run", schedule, **sections)
    assert "\n" not in str(refused.value)


def test_an_output_that_is_not_this_run_is_refused(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        small_run(data, tmp_path / "file", {})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("")
    with pytest.raises(InputError, match="not empty and holds no run"):
        small_run(data, tmp_path / "full", {})
    write_run_config(small_run(data, tmp_path / "run", {}))
    with pytest.raises(InputError, match="holds a run of config"):
        small_run(data, tmp_path / "run", {}, seed=1)
    assert small_run(data, tmp_path / "run", {"log_every": 1}), "a machine setting is no other run"


def test_the_hash_follows_the_data(data, tmp_path):
    other = sixteen_pairs(tmp_path / "copy")
    recipe = small_recipe({})
    same = prepare_run(recipe, other, str(tmp_path / "a")).config_hash
    assert same == prepare_run(recipe, data, str(tmp_path / "b")).config_hash, "the same bytes elsewhere"
    mixed = prepare_run(recipe, [f"{data}=3", f"{other}=1"], str(tmp_path / "c")).config_hash
    assert mixed != same


def test_a_module_is_the_same_on_every_rank_and_follows_the_seed():
    first, again, other = (build_module(small_recipe({}, seed=seed)) for seed in (1, 1, 2))
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(
        first.dual_encoder.visual_projection.weight, other.dual_encoder.visual_projection.weight
    )


def test_a_finished_run_is_prepared_again_without_its_start(data, tmp_path):
    run_local(small_run(data, tmp_path / "first", {"steps": 2}), lambda _: None)
    start = {"weights": str(tmp_path / "first"), "step": 1}
    branch = small_run(data, tmp_path / "branch", {"steps": 3}, start=start)
    run_local(branch, lambda _: None)
    assert small_run(data, tmp_path / "branch", {"steps": 3}, start=start).config_hash == branch.config_hash
