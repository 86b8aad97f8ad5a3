"""Towers that are locked for ever or until a step, or learn at a rate of their own, on the plain engine."""

import shutil
from pathlib import Path

import pytest
import torch
from published import image_tower, text_tower
from pydantic import ValidationError
from safetensors.torch import load_file
from small_runs import MODEL, sixteen_pairs, small_recipe, small_run

from pretrain.tasks import get_task
from pretrain.training.checkpoint import list_checkpoints
from pretrain.training.launch_local import run_local

UNLOCK, STEPS = 3, 6
IMAGE, TEXT = "dual_encoder.vision_model.", "dual_encoder.text_model."


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> str:
    return sixteen_pairs(tmp_path_factory.mktemp("pairs") / "data")


def model(image: dict, text: dict | None = None) -> dict:
    """The small model, which has dropout and stochastic depth, with these settings of training."""
    towers = {"image": MODEL["image"] | {"train": image}, "text": MODEL["text"] | {"train": text or {}}}
    return MODEL | towers


def trained(pairs: str, run: Path, sections: dict) -> None:
    schedule = {"steps": STEPS, "checkpoint_every": 1, "keep_checkpoints": STEPS}
    run_local(small_run(pairs, run, schedule, **sections), lambda _: None)


def weights(run: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / f"step-{step:08d}" / "model.safetensors")


def optimiser(run: Path, step: int) -> dict:
    file = run / "checkpoints" / f"step-{step:08d}" / "plain.pt"
    return torch.load(file, weights_only=True)["optimizer"]


def moved(before: dict, after: dict) -> set[str]:
    return {name for name in before if not before[name].equal(after[name])}


def test_a_tower_that_is_locked_for_ever_stays_as_it_is_and_has_no_optimiser_state(pairs, tmp_path):
    trained(pairs, tmp_path / "run", {"model": model({"from_step": None})})
    changed = moved(weights(tmp_path / "run", 1), weights(tmp_path / "run", STEPS))
    assert not any(name.startswith(IMAGE) for name in changed)
    assert any(name.startswith(TEXT) for name in changed)
    assert {"dual_encoder.visual_projection.weight", "dual_encoder.logit_scale"} <= changed
    task = _task(model({"from_step": None}))
    learning = [name for name, parameter in task.named_parameters() if parameter.requires_grad]
    assert not any(name.startswith(IMAGE) for name in learning)
    state = optimiser(tmp_path / "run", STEPS)
    assert sum(len(group["params"]) for group in state["param_groups"]) == len(learning)
    assert len(state["state"]) == len(learning)


def test_a_tower_learns_from_its_step_on_and_a_resumed_run_equals_an_uninterrupted_one(pairs, tmp_path):
    sections = {"model": model({"from_step": UNLOCK, "rate": 0.5}), "optimizer": {"weight_decay": 0.1}}
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    trained(pairs, straight, sections)
    first = weights(straight, 1)
    assert not any(name.startswith(IMAGE) for name in moved(first, weights(straight, UNLOCK)))
    assert any(name.startswith(IMAGE) for name in moved(first, weights(straight, UNLOCK + 1)))
    locked = _numbers(optimiser(straight, UNLOCK), from_step=UNLOCK)
    assert locked
    assert not locked & optimiser(straight, UNLOCK)["state"].keys()
    counters = {
        float(optimiser(straight, STEPS)["state"][number]["step"])
        for number in _numbers(optimiser(straight, STEPS), from_step=UNLOCK)
    }
    assert counters == {STEPS - UNLOCK}

    for stop in (UNLOCK - 1, UNLOCK, UNLOCK + 1):
        shutil.rmtree(resumed, ignore_errors=True)
        shutil.copytree(straight, resumed)
        for folder in list_checkpoints(resumed)[stop:]:
            shutil.rmtree(folder)
        trained(pairs, resumed, sections)
        assert not moved(weights(straight, STEPS), weights(resumed, STEPS)), stop


def test_a_locked_tower_is_in_evaluation_mode_until_it_learns():
    task = _task(model({"from_step": 2}, {"from_step": 1})).train()
    towers = task.dual_encoder.vision_model, task.dual_encoder.text_model
    for step, learns in enumerate([(False, False), (False, True), (True, True), (True, True)]):
        task.begin(_Step(step))
        assert tuple(tower.training for tower in towers) == learns
        assert task.dual_encoder.training
        pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        ids = torch.arange(5, 13)[None].expand(2, -1)
        task.zero_grad()
        image, text = (
            task.dual_encoder.encode_image(pixels)[1],
            task.dual_encoder.encode_text(ids, ids.sign())[1],
        )
        (image.sum() + text.sum()).backward()
        assert tuple(any(p.grad is not None for p in tower.parameters()) for tower in towers) == learns
    task.begin(_Step(0))
    keep = torch.ones(2, task.dual_encoder.cells, requires_grad=True)
    task.eval().dual_encoder.encode_image(pixels, keep)[0].sum().backward()
    assert keep.grad.abs().sum() > 0  # box values are taken from a locked tower too


def test_groups_are_those_of_before_unless_something_is_set():
    plain = _task(MODEL).parameter_groups(0.1)
    assert [(group.rate, group.from_step) for group in plain] == [(1.0, 0)] * 2
    groups = _task(model({"rate": 0.1}, {"from_step": 4, "rate": 2.0})).parameter_groups(0.1)
    assert sorted({(group.rate, group.from_step) for group in groups}) == [(0.1, 0), (1.0, 0), (2.0, 4)]
    assert sum(len(group.parameters) for group in groups) == sum(len(group.parameters) for group in plain)


def test_embeddings_of_positions_and_single_tokens_have_no_weight_decay(tmp_path):
    towers = {"image": {"pretrained": image_tower(tmp_path / "dinov2", "dinov2_with_registers")}}
    task = _task(towers | {"text": {"pretrained": text_tower(tmp_path / "clip", "clip_text_model")}})
    names = {id(parameter): name for name, parameter in task.named_parameters()}
    groups = {group.weight_decay: group for group in task.parameter_groups(0.1)}
    decayed = {names[id(parameter)].removeprefix("dual_encoder.") for parameter in groups[0.1].parameters}
    assert all(name.endswith("weight") and "position" not in name for name in decayed)
    assert "text_model.embeddings.token_embedding.weight" in decayed


@pytest.mark.parametrize(
    ("image", "text", "engine", "message"),
    [
        (
            {"from_step": None},
            {"from_step": None},
            {},
            "nothing of them is left to train; set one of them to a step",
        ),
        (
            {"from_step": 5},
            {},
            {"zero_stage": 3},
            "zero_stage is 3 with a locked tower .* allowed are 0 to 2",
        ),
        ({"from_step": -1}, {}, {}, "greater than or equal to 0"),
        ({"rate": 0}, {}, {}, "greater than 0"),
    ],
)
def test_settings_that_leave_nothing_to_learn_are_refused(image, text, engine, message):
    with pytest.raises(ValidationError, match=message):
        small_recipe({}, model=model(image, text), engine=engine)


class _Step:
    """The number of a step."""

    def __init__(self, step: int) -> None:
        self.step = step


def _task(sections: dict):
    torch.manual_seed(0)
    config = small_recipe({}, model=sections)
    return get_task(config.task).build(config, 40)


def _numbers(state: dict, from_step: int) -> set[int]:
    """The optimiser's numbers of the parameters that learn from `from_step` on."""
    groups = [group for group in state["param_groups"] if group["from_step"] == from_step]
    return {number for group in groups for number in group["params"]}
