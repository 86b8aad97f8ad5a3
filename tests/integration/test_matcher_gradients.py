"""Two DeepSpeed processes that learn to match, against plain autograd on the whole batch in one process.

Captions of the ranks have other lengths, one caption and one image stand on both ranks' sides of the batch, and the
negatives that are drawn come from both.
"""

from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from tiny_matcher import PAIRS, eight_pairs, matcher_recipe, matcher_task
from torch import multiprocessing as mp

from pretrain.objectives import image_text_matching
from pretrain.ranks import process_group
from pretrain.step_context import StepContext
from pretrain.training.accumulation import accumulate_gradients

RANKS, STEP = 2, 3
STAGES, COUNTS = (1, 3), (1, 2)
ORDER = torch.tensor([0, 2, 4, 6, 1, 3, 5, 7])  # so that 2 and 3, 4 and 5 are on different ranks


def recipe(zero_stage: int):
    # With `whole_below` 2, ZeRO 3 partitions all parameters except the temperature, even in a model this small.
    return matcher_recipe(
        engine={"zero_stage": zero_stage, "precision": "fp32", "whole_below": 2},
        optimizer={"clip_norm": 0, "weight_decay": 0},
        workers={"count": RANKS},
    )


def batch_of(rows: torch.Tensor):
    """These of the eight pairs, cut to the longest caption among them."""
    whole = eight_pairs()
    longest = int(whole.attention_mask[rows].sum(1).max())
    return type(whole)(
        keys=[whole.keys[row] for row in rows],
        pixel_values=whole.pixel_values[rows],
        input_ids=whole.input_ids[rows, :longest],
        attention_mask=whole.attention_mask[rows, :longest],
        image_hashes=whole.image_hashes[rows],
    )


class Noted:
    """Draws as `draw_negatives` does, and notes what was drawn."""

    def __init__(self) -> None:
        self.real = image_text_matching.draw_negatives
        self.drawn: list[list[list[int]]] = []

    def __call__(self, *arguments):
        found = self.real(*arguments)
        self.drawn.append([found.captions.tolist(), found.images.tolist()])
        return found


def one_rank(rank: int, ranks: int, store: str, output: str) -> None:
    torch.set_num_threads(1)
    noted, results = Noted(), {}
    with (
        process_group(Path(store), rank, ranks),
        patch.object(image_text_matching, "draw_negatives", noted),
    ):
        from deepspeed.utils import safe_get_full_grad

        from pretrain.training.engines.deepspeed import DeepSpeedEngine

        for stage in STAGES:
            config = recipe(stage)
            with closing(DeepSpeedEngine(matcher_task(config), config)) as engine:
                for count in COUNTS:
                    size = PAIRS // ranks // count
                    own = ORDER[rank * PAIRS // ranks :][: PAIRS // ranks]
                    parts = [batch_of(rows).to(engine.device, engine.dtype) for rows in own.split(size)]
                    values = accumulate_gradients(engine, parts, StepContext.of(0, STEP, rank))
                    loss = values["loss"].detach().clone()
                    torch.distributed.all_reduce(loss)
                    gradients = {
                        key: safe_get_full_grad(weights) for key, weights in engine.module.named_parameters()
                    }
                    engine.step(learning_rate=0.0, momentum=0.9)
                    results[stage, count] = {
                        "loss": loss / ranks,
                        "gradients": gradients,
                        "drawn": noted.drawn[-1],
                    }
        torch.save(results, f"{output}{rank}.pt")


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("ranks")
    arguments = (RANKS, str(folder / "store"), str(folder / "rank"))
    mp.start_processes(one_rank, arguments, nprocs=RANKS, start_method="spawn")
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(RANKS)]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("stage", STAGES)
def test_two_ranks_have_the_negatives_and_the_gradients_of_the_whole_batch(stage, count, results):
    alone, noted = matcher_task(recipe(stage)), Noted()
    with patch.object(image_text_matching, "draw_negatives", noted):
        values = alone(batch_of(ORDER), StepContext.of(0, STEP, 0))
    values["loss"].backward()
    ranks = [found[stage, count] for found in results]
    for kind in (0, 1):
        assert noted.drawn[0][kind] == [row for found in ranks for row in found["drawn"][kind]]
    assert ranks[0]["loss"].item() == pytest.approx(values["loss"].item(), rel=1e-5)
    reached = 0
    for key, weights in alone.named_parameters():
        if weights.grad is not None:
            reached += bool(weights.grad.any())
            torch.testing.assert_close(
                ranks[0]["gradients"][key],
                weights.grad,
                atol=1e-5,
                rtol=1e-4,
                msg=lambda text, key=key: f"{key}: {text}",
            )
    assert reached > 30
