"""What the engine on Ray does before and after Ray: groups, folders, reading drops."""

import pyarrow as pa
import pytest
from corpus_rules import small_corpus

from data_filters.errors import InputError
from pipelines.curate.corpus.corpus import DROPS
from pipelines.curate.corpus.drop_files import DropFiles, write_drops
from pipelines.curate.corpus.on_ray import OnRay
from pipelines.curate.corpus.partitions import Group
from pipelines.curate.corpus.source import TablesInMemory


def engine(folder, earlier=None) -> OnRay:
    tables = {
        name: pa.table({"caption": [0] * rows}) for name, rows in {"a": 3, "b": 4, "c": 6, "d": 1}.items()
    }
    return OnRay(TablesInMemory(tables), str(folder), 5 * 512, earlier)


def test_groups_are_of_consecutive_shards_and_earlier_outputs_come_last(tmp_path):
    assert engine(tmp_path).groups == (Group(0, 2), Group(2, 3), Group(3, 4))
    both = engine(tmp_path, small_corpus(2, 0))
    assert both.groups[:3] == engine(tmp_path).groups
    assert all(group.is_earlier for group in both.groups[3:])


def test_a_rule_that_drops_nothing_leaves_no_files(tmp_path):
    ours = engine(tmp_path / "scratch")
    assert ours.run(lambda corpus: None) == 0
    assert ours.drops(0, 1) == DROPS.empty_table()
    assert not (tmp_path / "scratch").exists()


def test_drops_of_a_shard_are_read_from_the_file_of_its_group(tmp_path):
    ours = engine(tmp_path)

    def decide(corpus):
        table = pa.table([[2, 2**32 + 1], [-1, -1], [0.0, 0.0]], schema=DROPS)
        write_drops(corpus.folder, 0, table)
        corpus.dropped = DropFiles(corpus.folder, b"\1\0\0")

    ours.run(decide)
    assert [ours.drops(0, shard).column("rank").to_pylist() for shard in range(4)] == [
        [2],
        [2**32 + 1],
        [],
        [],
    ]


def test_what_a_failed_rule_wrote_is_removed(tmp_path):
    def decide(corpus):
        write_drops(corpus.folder, 0, DROPS.empty_table())
        raise InputError("no")

    with pytest.raises(InputError):
        engine(tmp_path).run(decide)
    assert not list(tmp_path.iterdir())
