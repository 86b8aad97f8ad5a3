"""Gathering in one process; several ranks are in objectives/test_several_ranks.py."""

import torch

from pretrain.ranks import (
    barrier,
    decided_by_first_rank,
    gather_with_gradient,
    longest_of_all_ranks,
    mean_over_ranks,
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
