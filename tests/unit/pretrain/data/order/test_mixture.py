"""Shares of a mixture, counted."""

import pickle
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_filters.errors import InputError
from pretrain.data.datasets import open_data, open_reader
from pretrain.data.order.batch_plan import BatchPlan
from pretrain.data.order.mixture import BLOCK, MixedOrder, shares_of
from pretrain.data.order.sample_order import SampleOrder
from pretrain.data.shards.source import open_source, split_weight
from pretrain.tasks.dual_encoder_config import DualEncoderConfig


def mixed(sizes: tuple[tuple[int, ...], ...], weights: tuple[float, ...], seed: int = 0) -> MixedOrder:
    orders = tuple(SampleOrder(shards, seed + number, 64) for number, shards in enumerate(sizes))
    return MixedOrder(orders, shares_of(weights), seed)


def test_every_block_holds_each_dataset_by_its_weight():
    order = mixed(((700, 800), (500, 1000, 1000)), (1, 3))
    datasets = [order.dataset(0, position)[0] for position in range(4000)]
    for start in range(0, 4000, BLOCK):
        assert Counter(datasets[start : start + BLOCK]) == {0: 250, 1: 750}
    # Mixed, not one after the other: a batch of 100 is binomial-like around 25.
    assert all(8 < datasets[start : start + 100].count(0) < 45 for start in range(0, 4000, 100))


def test_each_pass_over_a_dataset_reads_every_sample_once():
    order = mixed(((30, 50), (920,)), (1, 1))  # dataset 0: 80 samples, read 6.25 times an epoch
    seen: dict[int, list[tuple[int, int]]] = {}
    for position in range(len(order)):
        dataset, own_epoch, _ = order.dataset(0, position)
        if dataset == 0:
            seen.setdefault(own_epoch, []).append(order.locate(0, position))
    everything = [(shard, row) for shard, size in enumerate((30, 50)) for row in range(size)]
    assert [sorted(seen[own_epoch]) for own_epoch in range(6)] == [everything] * 6
    assert seen[0] != seen[1]
    assert len(seen[6]) == 20


def test_a_dataset_goes_on_in_the_next_epoch_where_it_stopped():
    order = mixed(((1500,), (500,)), (1, 1))
    numbers = []
    for epoch in range(2):
        for position in range(len(order)):
            dataset, own_epoch, place = order.dataset(epoch, position)
            if dataset == 0:
                numbers.append(own_epoch * 1500 + place)
    assert numbers == list(range(2000))


def test_shards_are_numbered_through():
    order = mixed(((5, 5), (10,)), (1, 1))
    for position in range(len(order)):
        dataset, _, _ = order.dataset(0, position)
        assert order.locate(0, position)[0] in ((0, 1) if dataset == 0 else (2,))


def test_a_used_mixture_pickles_and_equals_itself():
    order = mixed(((30, 50), (920,)), (1, 3))
    before = [order.locate(2, position) for position in range(len(order))]
    copy = pickle.loads(pickle.dumps(order))
    assert copy == order
    assert [copy.locate(2, position) for position in range(len(copy))] == before


@given(
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=5).filter(sum), min_size=1, max_size=3),
    st.integers(0, 3),
    st.data(),
)
@settings(deadline=None, max_examples=40)
def test_shards_ahead_are_all_that_is_read(sizes, epoch, data):
    order = mixed(tuple(tuple(one) for one in sizes), tuple(range(1, len(sizes) + 1)))
    start = data.draw(st.integers(0, len(order) - 1))
    stop = data.draw(st.integers(start + 1, len(order)))
    read = {order.locate(epoch, position)[0] for position in range(start, stop)}
    assert read <= set(order.shards_between(epoch, start, stop))


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=6))
def test_shares_are_the_weights_to_one_position(weights):
    if min(weights) / sum(weights) < 2 / BLOCK:
        return
    shares = shares_of(weights)
    assert sum(shares) == BLOCK
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - weight / sum(weights) * BLOCK) < 1


@pytest.mark.parametrize("weights", [(1, 0), (1, -2), (1, float("inf")), (1, 1e-6)])
def test_weights_that_mean_nothing_are_refused(weights):
    with pytest.raises(InputError, match="weights"):
        shares_of(weights)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("s3://a/b", ("s3://a/b", None)),
        ("s3://a/b=0.25", ("s3://a/b", 0.25)),
        ("/data/year=old", ("/data/year=old", None)),
        ("/data/year=old=2", ("/data/year=old", 2.0)),
    ],
)
def test_a_weight_stands_after_the_last_equals_sign(text, parts):
    assert split_weight(text) == parts


@pytest.mark.parametrize("name", ["day=20240101", "min_side=64", "x=1e3", "x=inf", "x=nan", "x=-1", "x=0"])
def test_a_path_that_exists_has_no_weight(tmp_path, name):
    (tmp_path / name).mkdir()
    path = f"{tmp_path}/{name}"
    assert split_weight(path) == (path, None)
    assert split_weight(f"file://{path}") == (f"file://{path}", None)
    assert split_weight(f"{path}=2") == (path, 2.0)
    (tmp_path / name / "sub").mkdir()
    assert split_weight(f"{tmp_path}/*{name[1:]}") == (f"{tmp_path}/*{name[1:]}", None)


@pytest.mark.parametrize("weight", ["0", "-1", "inf", "nan", "-0.0", "1e999"])
def test_a_weight_that_means_nothing_is_refused_by_its_own_line(weight):
    with pytest.raises(InputError, match=f"has the weight {weight}; allowed are finite numbers above 0"):
        split_weight(f"/data/a={weight}")


@pytest.fixture
def two(committed, pair):
    """URIs of pairs 0 to 19 and of pairs 100 to 159."""
    return (
        committed([[pair(number) for number in range(20)]], "small"),
        committed([[pair(number) for number in range(start, start + 30)] for start in (100, 130)], "large"),
    )


CONFIG = DualEncoderConfig.model_validate(
    {"seed": 3, "model": {"image": {"image_size": 32}}, "data": {"batch_size": 8, "shuffle_window": 16}}
)


def keys(data, first, last, rank=0, ranks=1):
    reader = open_reader(CONFIG, open_data(CONFIG, data), rank, ranks)
    return [[key for batch in step for key in batch.keys] for step in reader.batches(first, last)]


def test_a_mixture_is_the_same_for_any_number_of_workers_and_from_any_step(two):
    data = [f"{two[0]}=3", f"{two[1]}=1"]
    alone = keys(data, 0, 25)
    parts = [keys(data, 0, 25, rank, 4) for rank in range(4)]
    assert [[key for part in step for key in part] for step in zip(*parts, strict=True)] == alone
    assert keys(data, 13, 25) == alone[13:]
    small = sum(int(key) < 100 for step in alone for key in step)
    assert 0.65 < small / 200 < 0.85


def test_without_weights_every_sample_is_read_once_an_epoch(two):
    read = [key for step in keys(list(two), 0, 10) for key in step]
    assert len(read) == len(set(read)) == 80


def test_weights_for_some_only_are_refused(two):
    with pytest.raises(InputError, match="give each dataset a weight"):
        open_source(two[0], f"{two[1]}=2")


def test_the_remarks_say_how_often_each_is_read(two):
    first, second = open_source(f"{two[0]}=3", f"{two[1]}=1").remarks()
    assert "75.0% of every batch, 3.00 passes over its 20 samples" in first
    assert "25.0% of every batch, 0.33 passes over its 60 samples" in second


def test_other_weights_are_other_data(two):
    same, other = (open_source(f"{two[0]}={weight}", f"{two[1]}=1").shares() for weight in (1, 2))
    assert same != other
    assert same == open_source(f"{two[0]}=2", f"{two[1]}=2").shares()
    plan = BatchPlan(open_source(f"{two[0]}=1", f"{two[1]}=1").order(0, 16), 8)
    assert plan.steps_per_epoch == 10
