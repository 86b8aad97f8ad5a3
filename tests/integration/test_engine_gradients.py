"""Two DeepSpeed processes, with and without accumulation, against plain autograd on the whole batch in one process.

For each ZeRO stage two processes are spawned once; they run every objective of `OBJECTIVES` in turn. Dropout and
stochastic depth are on: the reference encodes each micro-batch with the same seed as the ranks do.
"""

from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
import torch
from torch import multiprocessing as mp

from pretrain.data.samples.batch import Batch
from pretrain.objectives import OBJECTIVES
from pretrain.objectives.shared import means
from pretrain.ranks import process_group
from pretrain.step_context import StepContext
from pretrain.tasks.dual_encoder import DualEncoderTask
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training.accumulation import accumulate_gradients, concatenate

if TYPE_CHECKING:  # the ranks alone import DeepSpeed
    from pretrain.training.engines.deepspeed import DeepSpeedEngine

PAIRS, TOKENS, VOCABULARY, RANKS = 8, 9, 50, 2
# Objectives that read the pairs of all ranks; the others read only the pairs of their rank.
GATHERED = {
    "contrastive",
    "max_pooled",
    "sigmoid",
    "late_interaction",
    "hard_negative",
    "phrase_contrast",
}
RECIPE = {
    "model": {
        "projection_dim": 16,
        "image": {
            "image_size": 32,
            "width": 16,
            "depths": [1, 1],
            "heads": [2, 2],
            "window": 4,
            "drop_path": 0.1,
        },
        "text": {
            "width": 16,
            "layers": 1,
            "heads": 2,
            "feed_forward": 32,
            "dropout": 0.1,
            "max_tokens": TOKENS,
        },
    },
    "objectives": {name: {} for name in OBJECTIVES if name != "phrase_contrast"}
    | {"phrase_attribution": {"evaluations": 12, "images": 2, "trust": 0}},
    "supervision": {"regions": 4, "budget": 3, "evaluations": 12, "head_width": 16},
    "data": {"batch_size": PAIRS},
    "optimizer": {"clip_norm": 0, "weight_decay": 0},
    "workers": {"count": RANKS},
}


def recipe(zero_stage: int, target: str) -> DualEncoderConfig:
    # With `whole_below` 2, ZeRO 3 partitions all parameters except the temperatures, even in a model this small.
    engine = {"zero_stage": zero_stage, "precision": "fp32", "whole_below": 2}
    changed = {"engine": engine}
    if target != "phrases":
        changed["supervision"] = RECIPE["supervision"] | {"target": target}
    if target == "absence":
        others = {"box_value": {"others": "all"}, "fine_grained": {"both_ways": True, "moves_boxes": False}}
        changed["objectives"] = RECIPE["objectives"] | others
    if target == "phrases":
        # Its texts are encoded with dropout, which ranks draw apart; without it the whole batch has one reference.
        changed["objectives"] = {"phrase_contrast": {"phrases": 2, "text": "max_pooled"}}
        model = RECIPE["model"]
        changed["model"] = {
            "image": model["image"] | {"drop_path": 0.0},
            "text": model["text"] | {"dropout": 0.0},
            **{name: value for name, value in model.items() if name not in ("image", "text")},
        }
    return DualEncoderConfig.model_validate(RECIPE | changed)


def pairs(rows: slice) -> Batch:
    """Return some of eight pairs; captions are cut to the longest of these rows, as on a worker."""
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randn(PAIRS, 3, 32, 32, generator=generator)
    ids = torch.randint(5, VOCABULARY, (PAIRS, TOKENS), generator=generator)
    lengths = torch.tensor([9, 6, 5, 5, 5, 8, 7, 7])[:, None]
    position = torch.arange(TOKENS)
    mask = (position < lengths).long()
    phrases = torch.stack([(position == 1).expand(PAIRS, -1), (position > 1) & (position < lengths - 1)], 1)
    longest = int(lengths[rows].max())
    return Batch(
        [str(row) for row in range(PAIRS)[rows]],
        pixels[rows],
        (ids * mask)[rows, :longest],
        mask[rows, :longest],
        phrases[rows, :, :longest],
        torch.ones(PAIRS, 2, dtype=torch.bool)[rows],
    )


def micro_batches(rank: int, count: int) -> list[Batch]:
    size = PAIRS // RANKS // count
    return [
        pairs(slice(start, start + size))
        for start in range(rank * size * count, (rank + 1) * size * count, size)
    ]


def seed(rank: int) -> int:
    return 1000 * rank + 11


def context(rank: int) -> StepContext:
    return StepContext(0, torch.Generator().manual_seed(seed(rank)))


def module(config: DualEncoderConfig) -> DualEncoderTask:
    torch.manual_seed(0)
    task = DualEncoderTask(config, VOCABULARY)
    if "shapley" not in task.suppliers:
        return task
    # The scale of UNSIL is fixed at 1/2, so that the reference can compute the losses of the ranks one after another.
    task.suppliers["shapley"].token_unsil.scale.momentum = 1.0
    task.suppliers["shapley"].token_unsil.scale.mean_square.fill_(0.25)
    task.suppliers["shapley"].token_unsil.scale.weight.fill_(1.0)
    return task


def restore(task: DualEncoderTask, buffers: dict[str, torch.Tensor]) -> None:
    """Restore the buffers, so that every case starts from the same running averages of the supervision."""
    for key, value in task.named_buffers():
        if not torch.equal(value, buffers[key]):  # a buffer that did not change may be needed by autograd
            value.copy_(buffers[key])


def cases(chosen: dict) -> list[tuple[str, dict, int]]:
    return [(name, {name: options}, count) for name, options in chosen.items() for count in (1, 2)] + [
        ("all", chosen, 2)
    ]


def one_rank(rank: int, ranks: int, store: str, zero_stage: int, target: str, output: str) -> None:
    torch.set_num_threads(1)
    with process_group(Path(store), rank, ranks):
        from pretrain.training.engines.deepspeed import DeepSpeedEngine

        config = recipe(zero_stage, target)
        with closing(DeepSpeedEngine(module(config), config)) as engine:
            results = results_of_all_cases(engine, rank, ranks)
        if rank == 0:
            torch.save(results, output)


def results_of_all_cases(engine: "DeepSpeedEngine", rank: int, ranks: int) -> dict:
    """(case, micro-batches) → whole gradients and the mean loss; "weights" → the weights after the first step."""
    from deepspeed.utils import safe_get_full_grad

    results = {}
    for number, (name, objectives, count) in enumerate(cases(engine.module.objectives)):
        engine.module.objectives = objectives
        buffers = {key: value.clone() for key, value in engine.module.named_buffers()}
        parts = [part.to(engine.device, engine.dtype) for part in micro_batches(rank, count)]
        values = accumulate_gradients(engine, parts, context(rank))
        loss = values["loss"].detach().clone()
        torch.distributed.all_reduce(loss)
        gradients = {key: safe_get_full_grad(p) for key, p in engine.module.named_parameters()}
        results[name, count] = {"gradients": gradients, "loss": loss / ranks}
        engine.step(learning_rate=1e-3 if number == 0 else 0.0, momentum=0.9)
        restore(engine.module, buffers)
        if number == 0:
            results["weights"] = engine.weights()
    return results


def reference(alone: DualEncoderTask, objectives: dict, count: int) -> float:
    """Compute gradients by autograd through all micro-batches of all ranks at once; return the loss."""
    alone.zero_grad()
    alone.objectives = objectives
    encoded, whole = [], []
    for rank in range(RANKS):
        for number, part in enumerate(micro_batches(rank, count)):
            torch.manual_seed(seed(rank) + number)
            encoded.append(alone.encode(part))
            whole.append(part)
    total = 0.0
    gathered = {name: options for name, options in objectives.items() if name in GATHERED}
    if gathered:
        alone.objectives = gathered
        total = total + bare_losses(alone, encoded, whole)
    alone.objectives = {name: options for name, options in objectives.items() if name not in GATHERED}
    if alone.objectives:
        # Some means are over the real entries of all ranks: a first pass notes the numbers of each rank, call by call.
        numbers: list[torch.Tensor] = []

        def note(number: torch.Tensor) -> torch.Tensor:
            numbers.append(number)
            return number

        with patch.object(means, "mean_over_ranks", note), torch.no_grad():
            losses_of_ranks(alone, encoded, whole, count)
        calls = len(numbers) // RANKS
        averages = cycle([sum(numbers[call::calls]) / RANKS for call in range(calls)])
        with patch.object(means, "mean_over_ranks", lambda _number: next(averages)):
            total = total + losses_of_ranks(alone, encoded, whole, count)
    total.backward()
    return total.item()


def losses_of_ranks(alone: DualEncoderTask, encoded: list, whole: list, count: int) -> torch.Tensor:
    """Return the mean of the ranks' losses, which are computed one after another from the same buffers."""
    buffers = {key: value.clone() for key, value in alone.named_buffers()}
    total = torch.zeros(())
    for rank in range(RANKS):
        torch.manual_seed(seed(rank))
        parts_of_rank = slice(rank * count, (rank + 1) * count)
        values = alone.losses(
            concatenate(encoded[parts_of_rank]), concatenate(whole[parts_of_rank]), context(rank)
        )
        total = total + values["loss"] / RANKS
        restore(alone, buffers)
    return total


def bare_losses(alone: DualEncoderTask, encoded: list, whole: list) -> torch.Tensor:
    """Return the loss of the gathered objectives on all features; suppliers that would draw for all are left out."""
    suppliers = alone.suppliers
    by_key = {name: supplier for name, supplier in suppliers.items() if name == "phrase_texts"}
    alone.suppliers = torch.nn.ModuleDict(by_key)
    loss = alone.losses(concatenate(encoded), concatenate(whole), context(0))["loss"]
    alone.suppliers = suppliers
    return loss


@pytest.mark.parametrize(
    ("zero_stage", "target"),
    [*((stage, "interaction") for stage in range(4)), (3, "absence"), (1, "phrases"), (3, "phrases")],
)
def test_two_ranks_have_the_gradients_of_the_whole_batch(zero_stage: int, target: str, tmp_path) -> None:
    output = str(tmp_path / "rank0.pt")
    arguments = (RANKS, str(tmp_path / "store"), zero_stage, target, output)
    mp.start_processes(one_rank, arguments, nprocs=RANKS, start_method="spawn")
    results = torch.load(output)

    alone = module(recipe(zero_stage, target))
    named = dict(alone.named_parameters())
    chosen = alone.objectives
    without_gradient = set(named)
    for number, (name, objectives, count) in enumerate(cases(chosen)):
        if number == 1:
            # Only the first step had a learning rate; the saved weights are those after it, in whole shapes.
            alone.load_state_dict(results["weights"])
        loss = reference(alone, objectives, count)
        assert results[name, count]["loss"] == pytest.approx(loss, abs=2e-6, rel=1e-6), (name, count)
        for key, parameter in named.items():
            if parameter.grad is not None:
                without_gradient.discard(key)
                torch.testing.assert_close(
                    results[name, count]["gradients"][key],
                    parameter.grad,
                    atol=2e-6,
                    rtol=1e-4,
                    msg=lambda text, case=(name, count, key): f"{case}: {text}",
                )
        if number == 0:
            optimizer = torch.optim.AdamW(alone.parameters(), lr=1e-3, betas=(0.9, 0.999), weight_decay=0)
            optimizer.step()
            for key in ("dual_encoder.logit_scale", "dual_encoder.vision_model.layernorm.bias"):
                torch.testing.assert_close(results["weights"][key], named[key].detach(), atol=1e-6, rtol=1e-5)
    assert not {key for key in without_gradient if "pooler" not in key}, (
        "parameters that no objective reached"
    )


def one_rank_in_bf16(rank: int, ranks: int, store: str, output: str) -> None:
    torch.set_num_threads(1)
    with process_group(Path(store), rank, ranks):
        from pretrain.training.engines.deepspeed import DeepSpeedEngine

        results = {}
        for stage, recomputed in ((1, False), (3, False), (3, True)):
            settings = {"zero_stage": stage, "precision": "bf16", "activation_checkpointing": recomputed}
            config = DualEncoderConfig.model_validate(RECIPE | {"engine": settings})
            with closing(DeepSpeedEngine(module(config), config)) as engine:
                losses = []
                for _ in range(4):
                    parts = [part.to(engine.device, engine.dtype) for part in micro_batches(rank, 2)]
                    losses.append(
                        accumulate_gradients(engine, parts, context(rank))["contrastive_loss"].item()
                    )
                    losses.append(engine.step(learning_rate=1e-2, momentum=0.9).item())
                results[stage, recomputed] = losses
        if rank == 0:
            torch.save(results, output)


def test_bf16_learns_and_recomputed_activations_change_nothing(tmp_path) -> None:
    output = str(tmp_path / "rank0.pt")
    arguments = (RANKS, str(tmp_path / "store"), output)
    mp.start_processes(one_rank_in_bf16, arguments, nprocs=RANKS, start_method="spawn")
    results = torch.load(output)
    for numbers in results.values():
        losses, norms = numbers[::2], numbers[1::2]
        assert losses[-1] < losses[0]
        assert all(0 < norm < float("inf") for norm in norms)
    # The recomputed forward pass has the same dropout.
    assert results[3, True] == pytest.approx(results[3, False], rel=1e-2)
    assert results[1, False][:2] == pytest.approx(results[3, False][:2], rel=2e-2)
