"""The stages of Ray Data as plain functions of blocks, without Ray."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from corpus_rules import added, all_but_first, captions, small_corpus, widths

from pipelines.common.causes import TaskFailed
from pipelines.curate.corpus import ray_stages
from pipelines.curate.corpus.corpus import DROPS
from pipelines.curate.corpus.drop_files import DropFiles
from pipelines.curate.corpus.in_process import InProcess
from pipelines.curate.corpus.partitions import Group
from pipelines.curate.corpus.population import Population
from pipelines.curate.corpus.ray_stages import (
    FoldRows,
    ReduceToDrops,
    SelectRows,
    WriteDrops,
)

SOURCE = small_corpus(6, 1)
GROUPS = (Group(0, 2), Group(2, 5), Group(5, 6))
POPULATION = Population(SOURCE, None, GROUPS)


def block(*groups: int) -> pa.Table:
    return pa.table({"group": pa.array(groups, pa.int64())})


def test_drops_go_to_the_file_of_their_group(tmp_path):
    rows = pa.concat_tables(SelectRows(POPULATION, ("caption",), captions)(block(0, 1, 2)))
    drops = ReduceToDrops(POPULATION.firsts(), all_but_first)(rows)
    assert drops.column_names == [*DROPS.names, "group"]
    shuffled = drops.take(pa.array(np.random.default_rng(0).permutation(drops.num_rows)))
    counts = {row["group"]: row["drops"] for row in WriteDrops(str(tmp_path))(shuffled).to_pylist()}
    engine = InProcess(SOURCE)
    engine.run(lambda corpus: corpus.shuffle(["caption"], captions, all_but_first))
    files = DropFiles(str(tmp_path), bytes(group in counts for group in range(3)))
    for number, group in enumerate(GROUPS):
        expected = pa.concat_tables(engine.drops(0, shard) for shard in range(group.first, group.end))
        assert files.read(number) == expected
        assert counts.get(number, 0) == expected.num_rows


def test_no_drops_write_no_file(tmp_path):
    counts = WriteDrops(str(tmp_path))(ReduceToDrops(POPULATION.firsts(), all_but_first)(pa.table({})))
    assert counts.num_rows == 0
    assert not list(tmp_path.iterdir())


def test_a_fold_is_summed_within_its_block():
    totals = FoldRows(POPULATION, ("width",), widths, added)(block(0, 1, 2)).column("value")
    engine = InProcess(SOURCE)
    whole = []
    engine.run(lambda corpus: whole.append(corpus.fold(["width"], widths, added)))
    assert sum((pickle.loads(total.as_py()) for total in totals), widths_of_nothing()) == whole[0]


def widths_of_nothing():
    return widths(next(POPULATION.standing(0, ["width"])))  # the first shard is empty


def test_a_task_whose_workers_died_at_every_attempt_fails_and_says_what_to_set(monkeypatch):
    monkeypatch.setattr(ray_stages, "_attempt", lambda: 4)
    with pytest.raises(TaskFailed, match=r"^workers died at every attempt .*set decide\.memory lower"):
        next(SelectRows(POPULATION, ("caption",), captions)(block(0)))
