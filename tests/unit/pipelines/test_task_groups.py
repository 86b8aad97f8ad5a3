"""Groups of shards hold every shard once, in order, and are neither too large nor too few."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.task_groups import LEAST_TASKS, MOST_TASKS, TASK_BYTES, TASK_UNITS, group_units

MIB = 1 << 20


@given(st.lists(st.integers(0, 2**33), max_size=300), st.integers(1, 9))
def test_every_unit_is_in_one_group_and_no_group_of_several_is_too_large(sizes, workers):
    groups = group_units(sizes, workers)
    assert [place for group in groups for place in group] == list(range(len(sizes)))
    assert len(groups) >= min(len(sizes), LEAST_TASKS * workers)
    largest = max(TASK_BYTES, sum(sizes) / (MOST_TASKS * workers) + 1)
    for group in groups:
        assert 1 <= len(group) <= TASK_UNITS
        assert len(group) == 1 or sum(sizes[place] for place in group) <= largest


@pytest.mark.parametrize(
    ("count", "size", "workers", "groups"),
    [
        (0, 0, 2, 0),
        (3, 7, 5, 3),
        (8, 2048 * MIB, 2, 8),  # large shards have a task each
        (20, 1, 1, 4),  # few small ones: four tasks of five
        (1000, 5 * MIB, 2, 20),  # 51 of 5 MiB are 255
        (10_000, 0, 2, 157),  # sizes unknown: 64 in each
        (100_000, 1024 * MIB, 20, 4000),  # 5 TiB for each worker: 25 shards in a task
    ],
)
def test_how_many_groups_there_are(count, size, workers, groups):
    assert len(group_units([size] * count, workers)) == groups


def test_one_large_shard_among_small_ones_is_alone():
    sizes = [MIB] * 10 + [4096 * MIB] + [MIB] * 10
    assert range(10, 11) in group_units(sizes, 1)
