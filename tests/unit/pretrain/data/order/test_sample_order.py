"""The order of samples: a permutation every epoch, the same for every number of workers."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_filters.errors import InputError
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


@given(SIZES, st.integers(0, 3), st.integers(1, 20), st.data())
@settings(deadline=None, max_examples=60)
def test_shards_between_hold_every_position_between(sizes, epoch, window, data):
    order = SampleOrder(tuple(sizes), 0, window)
    start = data.draw(st.integers(0, len(order)))
    stop = data.draw(st.integers(start, len(order)))
    read = {order.locate(epoch, position)[0] for position in range(start, stop)}
    assert read <= set(order.shards_between(epoch, start, stop))


def test_a_used_order_pickles_and_equals_itself():
    """Workers receive orders by pickle; what an order keeps in memory is not part of it."""
    order = SampleOrder((30, 50, 7), seed=1, window=16)
    before = epoch_of(order, 1)
    copy = pickle.loads(pickle.dumps(order))
    assert copy == order == SampleOrder((30, 50, 7), seed=1, window=16)
    assert hash(copy) == hash(order)
    assert epoch_of(copy, 1) == before


def test_orders_of_many_epochs_are_the_same_after_others_were_read():
    order = SampleOrder((30, 50), seed=1, window=16)
    first = [epoch_of(order, epoch) for epoch in range(9)]
    assert [epoch_of(order, epoch) for epoch in reversed(range(9))] == first[::-1]


@pytest.mark.parametrize(("position", "epoch"), [(80, 0), (-1, 3)])
def test_positions_outside_the_epoch_are_an_error(position, epoch):
    with pytest.raises(IndexError, match="outside the epoch's 80 samples"):
        SampleOrder((30, 50), seed=1, window=16).locate(epoch, position)


def test_no_window_and_no_samples_are_refused():
    with pytest.raises(InputError, match="shuffle window is 0"):
        SampleOrder((3,), 0, 0)
    with pytest.raises(InputError, match="holds no samples"):
        SampleOrder((0, 0), 0, 4)
