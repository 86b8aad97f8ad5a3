"""The order of samples: a permutation every epoch, the same for every number of workers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_filters.errors import InputError
from pretrain.data.order.batch_plan import BatchPlan
from pretrain.data.order.sample_order import SampleOrder

SIZES = st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(lambda sizes: sum(sizes) > 0)


def epoch_of(order: SampleOrder, epoch: int) -> list[tuple[int, int]]:
    return [order.locate(epoch, position) for position in range(len(order))]


@given(SIZES, st.integers(0, 5), st.integers(0, 5), st.integers(1, 40))
@settings(deadline=None, max_examples=60)
def test_an_epoch_holds_every_sample_once(sizes, seed, epoch, window):
    order = SampleOrder(tuple(sizes), seed, window)
    expected = [(shard, row) for shard, size in enumerate(sizes) for row in range(size)]
    assert sorted(epoch_of(order, epoch)) == expected


def test_seed_and_epoch_change_the_order_and_nothing_else_does():
    order = SampleOrder((100, 100), seed=1, window=50)
    assert epoch_of(order, 0) == epoch_of(SampleOrder((100, 100), seed=1, window=50), 0)
    assert epoch_of(order, 0) != epoch_of(order, 1)
    assert epoch_of(order, 0) != epoch_of(SampleOrder((100, 100), seed=2, window=50), 0)


def test_a_window_touches_few_shards():
    order = SampleOrder((10,) * 100, seed=0, window=40)
    for start in range(0, 1000, 40):
        assert len({order.locate(0, position)[0] for position in range(start, start + 40)}) == 4


def test_a_window_as_large_as_the_data_mixes_all_of_it():
    order = SampleOrder((500, 500), seed=0, window=1000)
    first_half = [order.locate(0, position)[0] for position in range(500)]
    assert 200 < sum(first_half) < 300  # binomial, far beyond five standard deviations


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


def test_less_data_than_a_batch_is_refused():
    with pytest.raises(InputError, match="data.batch_size is 11, the data has 10 samples"):
        BatchPlan(SampleOrder((10,), 0, 10), 11)
