"""How rows are cut, from `decide.memory`."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.curate.corpus.in_process import InProcess
from pipelines.curate.corpus.ngrams import COLUMN
from pipelines.curate.corpus.partitions import (
    IN_PROCESS_ROW_BYTES,
    Group,
    fits_in_process,
    group_rows,
    group_shards,
    least_memory,
    partition_count,
    piece_bytes,
)
from pipelines.curate.corpus.source import TablesInMemory
from pipelines.curate.rules.rare_ngrams import RareNgrams

GIB = 1 << 30


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 200))
def test_groups_hold_every_shard_once_and_stop_when_full(rows, full):
    groups = group_shards(rows, full)
    assert [shard for group in groups for shard in range(group.first, group.end)] == list(range(len(rows)))
    held = [sum(rows[group.first : group.end]) for group in groups]
    assert all(count >= full for count in held[:-1])
    assert all(count - rows[group.end - 1] < full for count, group in zip(held, groups, strict=True))


def test_groups_of_an_earlier_output_say_so():
    assert group_shards([3, 3, 3], 5, is_earlier=True) == [Group(0, 2, True), Group(2, 3, True)]


def test_a_million_shards_make_some_thousands_of_tasks():
    full = group_rows(10**10, GIB)
    assert 2_000 < len(group_shards([10_000] * 10**6, full)) < 9_999


@pytest.mark.parametrize(("rows", "groups"), [(1, 1), (64 * 10_000, 64), (100_000, 10)])
def test_a_small_corpus_has_groups_for_the_cpus_of_a_machine_but_none_for_a_handful_of_rows(rows, groups):
    assert len(group_shards([1] * rows, group_rows(rows, GIB))) == groups


def test_partitions_hold_a_piece_of_the_memory_each():
    assert partition_count(0, GIB) == 1
    assert partition_count(GIB, GIB) * piece_bytes(GIB) == GIB
    assert partition_count(GIB + 1, GIB) == partition_count(GIB, GIB) + 1


def test_from_the_least_memory_on_the_objects_of_an_exchange_stay_out_of_the_driver():
    rows_bytes = 10**10 * 24  # 10 billion pairs
    memory = least_memory(rows_bytes)
    batches = partitions = partition_count(rows_bytes, memory)
    assert rows_bytes / (batches * partitions) == pytest.approx(100 << 10, rel=0.01)
    assert GIB < memory < 2 * GIB
    assert least_memory(64 << 20) == 0 < least_memory(65 << 20)


def test_rows_that_fit_run_in_process():
    assert fits_in_process(1_000_000, GIB)
    assert not fits_in_process(2_000_000, GIB)


def test_ngrams_that_come_once_take_in_process_what_is_said():
    """The dearest rule over captions, of 10 words each; memory of numpy and of Arrow at its peak."""
    rows, words = 20_000, 10
    hashes = np.random.default_rng(0).integers(0, 2**63, rows * words).astype(np.uint64)
    ends = pa.array(np.arange(0, rows * words + 1, words, dtype=np.int32))
    table = pa.table({COLUMN: pa.ListArray.from_arrays(ends, pa.array(hashes))})
    shards = {f"{number:02}": table.slice(number * 1000, 1000) for number in range(20)}
    arrow = pa.total_allocated_bytes()
    tracemalloc.start()
    InProcess(TablesInMemory(shards)).run(RareNgrams(kind="rare_ngrams", most_frequent=10**6).decide)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    peak += pa.total_allocated_bytes() - arrow
    # What is asked for is half as much again as what becomes resident (1,000 bytes a row at 600,000 rows).
    assert IN_PROCESS_ROW_BYTES * rows < peak < 1.6 * IN_PROCESS_ROW_BYTES * rows
