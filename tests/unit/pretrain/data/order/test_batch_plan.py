"""Which positions a worker reads at a step, counted out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_filters.errors import InputError
from pretrain.data.order.batch_plan import BatchPlan
from pretrain.data.order.sample_order import SampleOrder

SIZES = st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(lambda sizes: sum(sizes) > 0)


@given(SIZES, st.sampled_from([1, 2, 3, 4, 6]), st.integers(0, 30))
@settings(deadline=None, max_examples=60)
def test_workers_share_the_same_global_batch(sizes, ranks, step):
    total = sum(sizes)
    batch = 12
    if total < batch:
        return
    plan = BatchPlan(SampleOrder(tuple(sizes), 3, 7), batch)
    alone_epoch, alone = plan.positions(step, 0, 1)
    parts = [plan.positions(step, rank, ranks) for rank in range(ranks)]
    assert {epoch for epoch, _ in parts} == {alone_epoch}
    assert [position for _, part in parts for position in part] == list(alone)


def test_a_batch_never_mixes_epochs():
    plan = BatchPlan(SampleOrder((10,), 0, 10), 4)
    assert plan.steps_per_epoch == 2
    assert [plan.positions(step, 0, 1)[0] for step in range(5)] == [0, 0, 1, 1, 2]
    seen = [p for step in (0, 1) for p in plan.positions(step, 0, 1)[1]]
    assert len(set(seen)) == 8


@given(SIZES.filter(lambda sizes: sum(sizes) >= 4), st.integers(0, 20), st.integers(1, 60))
@settings(deadline=None, max_examples=60)
def test_upcoming_shards_hold_the_next_positions(sizes, step, count):
    """Position by position: the shards of the next `count` that steps read are announced, none twice."""
    plan = BatchPlan(SampleOrder(tuple(sizes), 3, 5), 4)
    needed = []
    at = step
    while len(needed) < count:
        epoch, positions = plan.positions(at, 0, 1)
        needed += [plan.order.locate(epoch, position)[0] for position in positions]
        at += 1
    upcoming = plan.upcoming(step, count)
    assert set(needed[:count]) <= set(upcoming)
    assert len(upcoming) == len(set(upcoming))


def test_upcoming_shards_come_in_the_order_of_their_first_use():
    plan = BatchPlan(SampleOrder((4,) * 10, seed=1, window=4), 4)
    first_use = [plan.order.locate(0, position)[0] for position in range(0, 40, 4)]
    assert plan.upcoming(0, 40) == first_use
    assert plan.upcoming(3, 8) == first_use[3:5]


def test_less_data_than_a_batch_is_refused():
    with pytest.raises(InputError, match="data.batch_size is 11, the data has 10 samples"):
        BatchPlan(SampleOrder((10,), 0, 10), 11)
