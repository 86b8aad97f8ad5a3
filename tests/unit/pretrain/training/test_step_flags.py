"""Ranks stop together, naming what was not finite, and take rank 0's wish alike."""

import pytest
import torch
from torch import multiprocessing as mp

from pretrain.training.step_flags import StepFlags


def scalars(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_nothing_is_known_before_anything_was_proposed():
    assert StepFlags().settle() is False


def test_a_wish_is_told_once():
    agreement = StepFlags()
    agreement.propose(1, scalars(loss=1.0), wish=True)
    assert agreement.settle() is True
    assert agreement.settle() is False


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_the_step_and_every_culprit_are_named(value):
    agreement = StepFlags()
    agreement.propose(7, scalars(loss=value, contrastive_loss=value, unsil_loss=0.0))
    with pytest.raises(FloatingPointError, match="^loss and contrastive_loss not finite at step 7"):
        agreement.settle()


def one_rank(rank: int, store: str, output: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    agreement, heard = StepFlags(), []
    for step in (1, 2, 3):
        broken = float("nan") if (step, rank) == (3, 1) else 0.5
        agreement.propose(step, scalars(loss=broken), wish=(step, rank) == (2, 0))
        try:
            heard.append(agreement.settle())
        except FloatingPointError as error:
            heard.append(str(error).split(";")[0])
    torch.save(heard, f"{output}{rank}")
    torch.distributed.destroy_process_group()


def test_what_one_rank_meets_all_ranks_hear(tmp_path):
    mp.start_processes(
        one_rank, (str(tmp_path / "store"), str(tmp_path / "heard")), nprocs=2, start_method="spawn"
    )
    first, second = (torch.load(tmp_path / f"heard{rank}") for rank in (0, 1))
    assert first == second == [False, True, "loss not finite at step 3"]
