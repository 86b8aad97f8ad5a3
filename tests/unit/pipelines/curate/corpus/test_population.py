"""The rows of groups that stand after earlier rules."""

import pyarrow as pa
from corpus_rules import narrow, small_corpus

from pipelines.curate.corpus.drop_files import DropFiles
from pipelines.curate.corpus.in_process import InProcess
from pipelines.curate.corpus.partitions import Group
from pipelines.curate.corpus.population import Population
from pipelines.curate.corpus.ray_stages import ChooseDrops

SOURCE = small_corpus(6, 1)
GROUPS = (Group(0, 2), Group(2, 5), Group(5, 6))
POPULATION = Population(SOURCE, None, GROUPS)


def block(*groups: int) -> pa.Table:
    return pa.table({"group": pa.array(groups, pa.int64())})


def test_rows_of_a_group_lack_what_earlier_rules_dropped(tmp_path):
    counts = ChooseDrops(POPULATION, ("width",), narrow, str(tmp_path))(block(0, 1, 2)).to_pylist()
    files = DropFiles(str(tmp_path), bytes(row["drops"] > 0 for row in counts))
    later = Population(SOURCE, None, GROUPS, (files,))
    engine = InProcess(SOURCE)
    engine.run(lambda corpus: corpus.choose(["width"], narrow))
    expected = [rows.ranks().tolist() for rows in engine.standing(["width"])]
    found = [rows.ranks().tolist() for group in range(3) for rows in later.standing(group, ["width"])]
    assert found == expected
    assert later.standing_of(1, 3, ["width"]).ranks().tolist() == expected[3]
    assert sum(row["drops"] for row in counts) > 0


def test_groups_of_an_earlier_output_are_read_from_it_whole():
    earlier = small_corpus(2, 5)
    population = Population(SOURCE, earlier, (*GROUPS, Group(0, 2, True)), (DropFiles("/nowhere", bytes(4)),))
    assert population.firsts().tolist() == [0, 2, 5]
    found = list(population.standing(3, ["width"]))
    assert [rows.is_earlier for rows in found] == [True, True]
    assert [len(rows.rows) for rows in found] == [earlier.passing(shard).sum() for shard in range(2)]
