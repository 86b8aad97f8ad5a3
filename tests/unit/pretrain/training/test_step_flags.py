"""All ranks raise together, with the names of the values that were not finite, and all get rank 0's wish."""

from pathlib import Path

import pytest
import torch
from torch import multiprocessing as mp

from pretrain.ranks import process_group
from pretrain.training.step_flags import StepFlags


def scalars(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_nothing_is_known_before_anything_was_proposed():
    assert StepFlags().settle() is False


def test_a_wish_is_returned_once():
    flags = StepFlags()
    flags.propose(1, scalars(loss=1.0), wish=True)
    assert flags.settle() is True
    assert flags.settle() is False


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_the_error_names_the_step_and_every_value(value):
    flags = StepFlags()
    flags.propose(7, scalars(loss=value, contrastive_loss=value, unsil_loss=0.0))
    with pytest.raises(FloatingPointError, match="^loss and contrastive_loss not finite at step 7"):
        flags.settle()


def one_rank(rank: int, store: str, output: str) -> None:
    with process_group(Path(store), rank, 2):
        flags, results = StepFlags(), []
        for step in (1, 2, 3):
            broken = float("nan") if (step, rank) == (3, 1) else 0.5
            flags.propose(step, scalars(loss=broken), wish=(step, rank) == (2, 0))
            try:
                results.append(flags.settle())
            except FloatingPointError as error:
                results.append(str(error).split(";")[0])
    torch.save(results, f"{output}{rank}")


def test_all_ranks_get_the_wish_and_the_error_of_one_rank(tmp_path):
    mp.start_processes(
        one_rank, (str(tmp_path / "store"), str(tmp_path / "results")), nprocs=2, start_method="spawn"
    )
    first, second = (torch.load(tmp_path / f"results{rank}") for rank in (0, 1))
    assert first == second == [False, True, "loss not finite at step 3"]
