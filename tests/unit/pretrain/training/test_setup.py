"""Input that does not fit is refused before a worker starts; RUN/config.json holds the whole recipe and data."""

from __future__ import annotations

import json
import os

import pytest
import torch
from raw_shards import pairs, write_tar
from small_runs import STILL, sixteen_pairs, small_recipe, small_run

from data_filters.errors import InputError
from pretrain.data.shards.shard_records import sha256_of
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
    with pytest.raises(
        InputError, match="other settings: seed is 0 there, 1 here; set them as they are there"
    ):
        small_run(data, tmp_path / "run", {}, seed=1)
    assert small_run(data, tmp_path / "run", {"log_every": 1}), "a machine setting is no other run"
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / ".config.json.0123.partial").write_text("")
    assert small_run(data, tmp_path / "killed", {}), "a kill before the record was written needs no repair"


def test_the_hash_follows_the_data(data, tmp_path):
    other = sixteen_pairs(tmp_path / "copy")
    recipe = small_recipe({})
    same = prepare_run(recipe, other, str(tmp_path / "a")).config_hash
    assert same == prepare_run(recipe, data, str(tmp_path / "b")).config_hash, "the same bytes elsewhere"
    mixed = prepare_run(recipe, [f"{data}=3", f"{other}=1"], str(tmp_path / "c")).config_hash
    assert mixed != same


def test_plain_tars_that_change_are_refused_unless_accepted_and_the_record_says_so(tmp_path, caplog):
    raw, run = tmp_path / "raw", tmp_path / "run"
    for number in range(2):
        write_tar(raw / f"{number}.tar", pairs(8, prefix=f"shard{number}-"))
    write_run_config(small_run(str(raw), run, {"steps": None, "epochs": 2}))
    recorded = json.loads((run / "config.json").read_text())["shards"]
    assert [shard["sha256"] for shard in recorded] == [sha256_of(str(raw / f"{n}.tar")) for n in range(2)]
    write_tar(raw / "1.tar", pairs(12, prefix="mended"))
    recipe = small_recipe({"steps": None, "epochs": 2})
    with pytest.raises(
        InputError, match=r"other data: 1\.tar has other bytes .*8 samples there, 12 here.*--accept-ch"
    ):
        prepare_run(recipe, str(raw), str(run))
    changed = prepare_run(recipe, str(raw), str(run), accept_changed_data=True)
    assert "come in another order, and the run has 10 steps (before: 8)" in caplog.text
    write_run_config(changed)
    new = sha256_of(str(raw / "1.tar"))
    assert json.loads((run / "config.json").read_text())["changes"] == [
        {"step": 0, "shard": "1.tar", "sha256": [recorded[1]["sha256"], new], "samples": [8, 12]}
    ]
    write_run_config(prepare_run(recipe, str(raw), str(run)))
    assert len(json.loads((run / "config.json").read_text())["changes"]) == 1, "accepted once, kept for good"
    small = small_recipe({"steps": None, "epochs": 2}, data={"batch_size": 2})
    with pytest.raises(InputError, match="data.batch_size is 4 there, 2 here"):
        prepare_run(small, str(raw), str(run), accept_changed_data=True)


def test_verify_finds_bytes_that_changed_behind_an_equal_witness(tmp_path):
    tar = write_tar(tmp_path / "raw" / "0.tar", pairs(8))
    write_run_config(small_run(str(tmp_path / "raw"), tmp_path / "run", {}))
    status, data = tar.stat(), bytearray(tar.read_bytes())
    data[700] ^= 1
    with tar.open("r+b") as file:
        file.write(data)
    os.utime(tar, ns=(status.st_atime_ns, status.st_mtime_ns))
    recipe = small_recipe({})
    assert prepare_run(recipe, str(tmp_path / "raw"), str(tmp_path / "run"))
    with pytest.raises(InputError, match="0.tar has other bytes"):
        prepare_run(recipe, str(tmp_path / "raw"), str(tmp_path / "run"), verify=True)


def test_a_module_is_the_same_on_every_rank_and_follows_the_seed():
    first, again, other = (build_module(small_recipe({}, seed=seed)) for seed in (1, 1, 2))
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(
        first.dual_encoder.visual_projection.weight, other.dual_encoder.visual_projection.weight
    )


def test_a_finished_run_is_prepared_again_without_its_start(data, tmp_path, caplog):
    run_local(small_run(data, tmp_path / "first", {"steps": 2}), lambda _: None)
    start = {"weights": str(tmp_path / "first"), "step": 1}
    branch = small_run(data, tmp_path / "branch", {"steps": 3}, start=start)
    assert "its newest checkpoint, step-00000002, is loaded; start.step is 1" in caplog.text
    caplog.clear()
    one = {"weights": str(tmp_path / "first" / "checkpoints" / "step-00000002"), "step": 1}
    small_run(data, tmp_path / "other", {"steps": 3}, start=one)
    assert not caplog.records, "a checkpoint says itself which it is"
    run_local(branch, lambda _: None)
    assert small_run(data, tmp_path / "branch", {"steps": 3}, start=start).config_hash == branch.config_hash


NOT_LEARNED = {
    "data": {"batch_size": 4, "prefetch": 1, "decode_threads": 3, "max_bad_fraction": 1.0, "cache_gib": 0.5},
    "engine": {"precision": "fp32", "zero_stage": 3, "whole_below": 2},
    "workers": {"cpus_per_worker": 2, "max_failures": 0},
    "supervision": {"chunk": 7},
    "name": "other",
}


def test_settings_outside_a_runs_identity_leave_losses_equal_to_the_digit(data, tmp_path):
    """Dropout and stochastic depth are on: the random numbers are the same too."""
    plain, other = (
        small_run(data, tmp_path / "a", {"steps": 5, "log_every": 1}),
        small_run(
            data,
            tmp_path / "b",
            {
                "steps": 5,
                "log_every": 1,
                "log_keys": True,
                "checkpoint_every": 1,
                "keep_steps": [2],
                "profile": True,
            },
            **NOT_LEARNED,
        ),
    )
    assert plain.config_hash == other.config_hash
    losses: list[list[float]] = []
    for run in (plain, other):
        of_run: list[float] = []
        run_local(run, lambda metrics, of_run=of_run: of_run.append(metrics["train/loss"]))
        losses.append(of_run)
    assert len(losses[0]) == 5
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    "other",
    [
        {"data": {"batch_size": 4, "accumulation": 2}},
        {"engine": {"precision": "fp32", "activation_checkpointing": True}},
        {"objectives": {"sigmoid": {"chunk": 1}}},
    ],
    ids=lambda sections: next(iter(sections)),
)
def test_what_reorders_sums_leaves_losses_equal_up_to_rounding(other, data, tmp_path):
    same = {"model": STILL, "objectives": {"sigmoid": {}}}
    losses: list[list[float]] = []
    for name, sections in (("a", {}), ("b", other)):
        of_run: list[float] = []
        run = small_run(data, tmp_path / name, {"steps": 3, "log_every": 1}, **(same | sections))
        run_local(run, lambda metrics, of_run=of_run: of_run.append(metrics["train/loss"]))
        losses.append(of_run)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
