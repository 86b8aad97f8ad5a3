"""Tables in cells, and shared values, without Ray."""

import pickle

import pyarrow as pa
from corpus_rules import captions, key_counts, small_corpus

from pipelines.curate.corpus.in_process import InProcess
from pipelines.curate.corpus.object_store import InStore, MeasureCells, ReduceToCell

ROWS = pa.concat_tables(captions(rows) for rows in InProcess(small_corpus(6, 1)).standing(["caption"]))


def test_a_table_in_a_cell_is_measured_as_it_was():
    cells = ReduceToCell(key_counts)(ROWS)
    assert cells.num_rows == 1
    results = MeasureCells(pa.Table.to_pydict)(cells).column("value")
    assert [pickle.loads(value.as_py()) for value in results] == [key_counts(ROWS).to_pydict()]


def test_no_rows_make_no_cell():
    assert ReduceToCell(key_counts)(ROWS.slice(0, 0)).num_rows == 0


def test_a_shared_value_is_pickled_without_the_value_that_was_read():
    shared = InStore(reference="r", _value=[b"x" * 10_000])
    assert shared.get() == b"x" * 10_000
    assert len(pickle.dumps(shared)) < 1_000
