"""The random stream of a step follows from run, step and rank, and suppliers have streams of their own."""

import torch

from pretrain.step_context import StepContext


def draws(context: StepContext) -> list[float]:
    return torch.rand(4, generator=context.generator).tolist()


def test_the_same_place_gives_the_same_stream_and_others_differ():
    places = [(0, 5, 0), (0, 5, 1), (0, 6, 0), (1, 5, 0)]
    streams = [tuple(draws(StepContext.of(*place))) for place in places]
    assert len(set(streams)) == 4
    assert tuple(draws(StepContext.of(0, 5, 0))) == streams[0]
    assert StepContext.of(0, 5, 0).step == 5


def test_a_branch_does_not_move_the_stream_that_it_comes_from():
    context, alone = StepContext.of(3, 1, 0), StepContext.of(3, 1, 0)
    first, second = draws(context.branch(0)), draws(context.branch(1))
    assert first != second
    assert draws(context.branch(1)) == second, "asked again, the same stream from its start"
    assert draws(context) == draws(alone)
    assert context.branch(1).step == context.step


def test_torchs_own_generator_has_no_part_in_it():
    torch.manual_seed(1)
    before = draws(StepContext.of(3, 1, 0))
    torch.manual_seed(2)
    assert draws(StepContext.of(3, 1, 0)) == before
    assert torch.initial_seed() == 2


def test_the_shared_seed_is_that_of_run_and_step_on_every_rank_and_in_every_branch():
    seeds = {StepContext.of(3, 5, rank).shared_seed for rank in range(8)}
    assert len(seeds) == 1
    assert StepContext.of(3, 5, 2).branch(1).shared_seed in seeds
    others = {StepContext.of(run, step, 0).shared_seed for run in range(20) for step in range(200)}
    assert len(others) == 4000
    assert all(
        0 <= seed < 2**62 and seed + 1 not in others for seed in others
    )  # draws take seed and seed + 1
