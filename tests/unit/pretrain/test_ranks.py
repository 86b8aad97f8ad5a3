"""Gathering in one process, and what is left of a process group; several ranks: objectives/test_several_ranks.py."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from gloo_threads import gloo_threads

from data_filters.errors import InputError
from pretrain.ranks import (
    barrier,
    decided_by_first_rank,
    gather_with_gradient,
    longest_of_all_ranks,
    mean_over_ranks,
    process_group,
    world,
)


def test_one_process_is_the_whole_world():
    rows = torch.ones(2, 3, requires_grad=True)
    assert world() == (0, 1)
    assert gather_with_gradient(rows) is rows, "nothing is copied, and gradients flow as they are"
    barrier()  # nobody to wait for
    assert longest_of_all_ranks(7, rows) == 7
    assert mean_over_ranks(rows) is rows
    assert decided_by_first_rank(lambda: "here") == "here"


@pytest.fixture(autouse=True)
def _no_rank_of_others(monkeypatch):
    for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "")  # restored after the test, whatever the group sets


def test_a_group_leaves_no_threads_behind(tmp_path):
    for number in range(3):  # a process may be a rank of one group after another
        with process_group(tmp_path / f"store-{number}", 0, 1):
            dist.all_reduce(torch.ones(1))
            assert gloo_threads(), "these are the threads that must end"
            assert world() == (0, 1)
            assert [os.environ[name] for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE")] == ["0", "0", "1"]
        assert not dist.is_initialized()
        assert not gloo_threads()


def fail(store: Path, error: type[BaseException]) -> None:
    with process_group(store, 0, 1):
        dist.all_reduce(torch.ones(1))
        raise error("of a rank")


@pytest.mark.parametrize("error", [InputError, FloatingPointError, KeyboardInterrupt, SystemExit])
def test_an_error_in_the_block_is_raised_and_destroys_the_group(error, tmp_path):
    with pytest.raises(error, match="of a rank"):
        fail(tmp_path / "store", error)
    assert not dist.is_initialized()
    assert not gloo_threads()


def test_the_block_may_destroy_the_group_itself(tmp_path):
    with process_group(tmp_path / "store", 0, 1):
        dist.destroy_process_group()
    assert not gloo_threads()
