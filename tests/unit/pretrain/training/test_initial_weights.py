"""A branch of a run: its initial weights, its step in the data and in the schedule, and how it resumes."""

import io
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from data_filters.errors import InputError
from pipelines.shards.writer import write_shard
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training import launch_local
from pretrain.training.checkpoint import list_checkpoints, read_state
from pretrain.training.initial_weights import newest_checkpoint
from pretrain.training.metrics import read_metrics
from pretrain.training.setup import PreparedRun, build_first_module, prepare_run, write_run_config

STEPS, BRANCH = 10, 6
MODEL = {
    "projection_dim": 16,
    "image": {"image_size": 32, "width": 16, "depths": [1, 1], "heads": [2, 2], "window": 4},
    "text": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32, "max_tokens": 16},
}
TAUGHT = {"contrastive": {"weight": 1.0}, "token_semantics": {"weight": 1.0}, "unsil": {"weight": 1.0}}
SUPERVISION = {"regions": 2, "head_width": 8, "budget": 1, "evaluations": 12}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    """Twenty pairs in two shards."""
    folder = tmp_path_factory.mktemp("curated")
    outputs = []
    for shard in range(2):
        samples = []
        for number in range(shard * 10, shard * 10 + 10):
            file = io.BytesIO()
            Image.new("RGB", (32, 32), (number * 12, 128, 255 - number * 9)).save(file, "PNG")
            samples.append((f"{number:04d}", {"png": file.getvalue(), "txt": f"picture {number}".encode()}))
        info = write_shard(str(folder / f"{shard:05d}.tar"), samples)
        outputs.append({"tar": f"{shard:05d}.tar", "samples": info.samples, "sha256": info.sha256})
    (folder / "manifests").mkdir()
    (folder / "manifests" / "all.json").write_text(json.dumps({"outputs": outputs}))
    return str(folder)


def prepared(data: str, run: Path, **sections) -> PreparedRun:
    config = {
        "model": MODEL,
        "supervision": SUPERVISION,
        "data": {"batch_size": 4, "shuffle_window": 7},
        "engine": {"precision": "fp32"},
        "schedule": {
            "steps": STEPS,
            "log_every": 1,
            "checkpoint_every": 4,
            "keep_steps": [BRANCH],
            "log_keys": True,
        },
    }
    return prepare_run(DualEncoderConfig.model_validate(config | sections), data, str(run))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    """An uninterrupted run of ten steps, whose checkpoint of step 6 is kept."""
    run = tmp_path_factory.mktemp("whole") / "run"
    launch_local.run_local(prepared(data, run), lambda _: None)
    return run


def branch_of(whole: Path) -> dict:
    return {"weights": str(whole / "checkpoints" / f"step-{BRANCH:08d}"), "step": BRANCH}


def keys_by_step(run: Path) -> dict[int, list[str]]:
    lines = (run / "keys" / "rank-0-of-1.jsonl").read_text().splitlines()
    return {line["step"]: line["keys"] for line in map(json.loads, lines)}


def test_a_branch_reads_what_the_uninterrupted_run_read_at_the_same_rates(data, whole, tmp_path):
    launch_local.run_local(prepared(data, tmp_path / "branch", start=branch_of(whole)), lambda _: None)
    straight, branched = keys_by_step(whole), keys_by_step(tmp_path / "branch")
    assert sorted(branched) == list(range(BRANCH, STEPS))
    assert branched == {step: straight[step] for step in range(BRANCH, STEPS)}

    before, after = (
        {line["step"]: line for line in read_metrics(run)} for run in (whole, tmp_path / "branch")
    )
    assert sorted(after) == list(range(BRANCH + 1, STEPS + 1))
    for step, line in after.items():
        assert line["train/learning_rate"] == before[step]["train/learning_rate"]
    # The first loss has the same weights and pairs; later ones differ because the optimiser is new.
    assert after[BRANCH + 1]["train/loss"] == pytest.approx(before[BRANCH + 1]["train/loss"], rel=1e-6)
    assert after[BRANCH + 1]["train/gradient_norm"] == pytest.approx(
        before[BRANCH + 1]["train/gradient_norm"], rel=1e-4
    )


def test_a_branch_begins_with_the_checkpoints_weights_and_its_own_new_heads(data, whole, tmp_path):
    branch = prepared(data, tmp_path / "branch", start=branch_of(whole), objectives=TAUGHT)
    saved = load_file(whole / "checkpoints" / f"step-{BRANCH:08d}" / "model.safetensors")
    initial = build_first_module(branch).state_dict()
    assert all(torch.equal(initial[name], value) for name, value in saved.items())
    fresh = build_first_module(prepared(data, tmp_path / "scratch", objectives=TAUGHT)).state_dict()
    heads = [name for name in initial if not name.startswith("dual_encoder.")]
    assert any(name.startswith("region_generator.") for name in heads)
    assert all(torch.equal(initial[name], fresh[name]) for name in heads)


def test_heads_that_both_have_are_taken_over(data, tmp_path):
    launch_local.run_local(prepared(data, tmp_path / "taught", objectives=TAUGHT), lambda _: None)
    start = branch_of(tmp_path / "taught")
    saved = load_file(Path(start["weights"]) / "model.safetensors")
    both = build_first_module(prepared(data, tmp_path / "both", objectives=TAUGHT, start=start)).state_dict()
    assert set(both) == set(saved)
    assert all(torch.equal(both[name], value) for name, value in saved.items())
    plain = build_first_module(prepared(data, tmp_path / "plain", start=start)).state_dict()
    assert all(torch.equal(value, saved[name]) for name, value in plain.items())


def test_one_warning_names_the_parts_that_only_one_side_has(data, whole, tmp_path, caplog):
    def warnings(**sections) -> list[str]:
        caplog.clear()
        prepared(data, tmp_path / "branch", **sections)
        return [record.getMessage() for record in caplog.records if record.name.startswith("pretrain.")]

    assert warnings(start=branch_of(whole)) == [], "both have the same parts"
    (fresh,) = warnings(start=branch_of(whole), objectives=TAUGHT)
    assert fresh.endswith(
        "step-00000006: region_generator, suppliers.shapley with fresh weights (the checkpoint has none)"
    )
    old = tmp_path / "old"
    shutil.copytree(whole / "checkpoints" / "step-00000006", old)
    tensors = load_file(old / "model.safetensors") | {"supervision.head.weight": torch.ones(2)}
    save_file(tensors, old / "model.safetensors")
    without_list(old)
    (both,) = warnings(start={"weights": str(old), "step": BRANCH}, objectives={"sigmoid": {}})
    assert both.endswith(
        "old: supervision left out (the recipe has no such part); "
        "logit_bias with fresh weights (the checkpoint has none)"
    )


def test_a_resumed_branch_goes_on_from_its_own_checkpoint_and_needs_its_start_no_more(data, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "whole")
    branch = prepared(data, tmp_path / "branch", start=branch_of(tmp_path / "whole"))
    launch_local.run_local(branch, lambda _: None)
    losses = {line["step"]: line["train/loss"] for line in read_metrics(tmp_path / "branch")}
    assert [read_state(folder).step for folder in list_checkpoints(tmp_path / "branch")] == [8, 10]

    shutil.rmtree(tmp_path / "whole")
    shutil.rmtree(tmp_path / "branch" / "checkpoints" / "step-00000010")
    launch_local.run_local(
        prepared(data, tmp_path / "branch", start=branch_of(tmp_path / "whole")), lambda _: None
    )
    again = {line["step"]: line["train/loss"] for line in read_metrics(tmp_path / "branch")}
    assert again == pytest.approx(losses)


def test_a_run_stands_for_its_newest_checkpoint(whole):
    assert newest_checkpoint(str(whole)).name == f"step-{STEPS:08d}"


def test_a_recipe_without_a_start_keeps_the_hash_of_its_runs(data, whole, tmp_path):
    plain = prepared(data, tmp_path / "a")
    assert prepared(data, tmp_path / "b", start={"weights": None, "step": 0}).config_hash == plain.config_hash
    assert prepared(data, tmp_path / "c", start=branch_of(whole)).config_hash != plain.config_hash


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"start": {"weights": "/no/such"}}, "start.weights is '/no/such', which is no checkpoint"),
        (
            {"model": MODEL | {"projection_dim": 8}},
            r"does not fit the recipe: dual_encoder\..* is 16.* there",
        ),
        ({"schedule": {"steps": BRANCH}}, "start.step is 6, the run has 6 steps"),
    ],
)
def test_a_start_that_does_not_fit_is_refused_in_one_line(data, whole, tmp_path, sections, message):
    with pytest.raises(InputError, match=message) as refused:
        prepared(data, tmp_path / "branch", **({"start": branch_of(whole)} | sections))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "branch").exists()


def test_broken_weights_are_refused_in_one_line(data, whole, tmp_path):
    broken = tmp_path / "step-00000006"
    shutil.copytree(whole / "checkpoints" / "step-00000006", broken)
    (broken / "model.safetensors").write_bytes(b"cut short")
    start = {"start": {"weights": str(broken), "step": BRANCH}}
    with pytest.raises(InputError, match=r"a damaged checkpoint \(model.safetensors has 9 bytes"):
        prepared(data, tmp_path / "branch", **start)
    without_list(broken)
    with pytest.raises(InputError, match=r"a damaged checkpoint \(model.safetensors is cut or empty"):
        prepared(data, tmp_path / "branch", **start)


def test_a_branch_keeps_the_checkpoint_that_it_began_with(data, whole, tmp_path, caplog):
    other = tmp_path / "other"
    shutil.copytree(whole, other)
    steps = list_checkpoints(other)
    shutil.move(steps[-1], tmp_path / "later")
    start = {"start": {"weights": str(other), "step": BRANCH}}
    first = prepared(data, tmp_path / "branch", **start)
    assert first.config.start.weights == str(steps[-2])
    assert f"its newest checkpoint, {steps[-2].name}, is loaded" in caplog.text
    write_run_config(first)  # and is killed
    shutil.move(tmp_path / "later", steps[-1])
    assert prepared(data, tmp_path / "branch", **start) == first
    assert prepared(data, tmp_path / "branch", start=first.config.start.model_dump()) == first
    with pytest.raises(InputError, match="start.weights is .* there"):
        prepared(data, tmp_path / "branch", start={"weights": str(steps[-1]), "step": BRANCH})


def without_list(checkpoint: Path) -> None:
    """Make `state.json` one of an earlier version, which listed no files."""
    state = json.loads((checkpoint / "state.json").read_text())
    del state["files"]
    (checkpoint / "state.json").write_text(json.dumps(state))


def test_start_step_is_refused_without_weights():
    with pytest.raises(ValueError, match=r"start.step is 5 without start.weights"):
        DualEncoderConfig.model_validate({"start": {"step": 5}})
