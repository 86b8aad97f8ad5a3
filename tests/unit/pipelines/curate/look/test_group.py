"""Which groups look, and the tables that they are stored in."""

from dataclasses import dataclass

import pyarrow as pa
import pytest
from curation_rules import Letters

from data_filters.errors import InputError
from pipelines.curate.look.group import (
    empty_table,
    fault_column,
    is_derived,
    is_look_group,
    is_sparing,
    looked_column,
    reads_of,
    sources_first,
    stored_schema,
)
from pipelines.curate.look.leaks import LeakScores
from pipelines.curate.look.perceptual import PdqScores
from pipelines.curate.scores.filter_scores import FilterScores


def test_groups_that_look_are_told_from_those_that_do_not():
    groups = [PdqScores(), LeakScores(("index.parquet",)), Letters(), FilterScores(("words",))]
    assert [is_look_group(group) for group in groups] == [True, True, False, False]
    assert [is_derived(group) for group in groups] == [False, True, False, False]


def test_a_table_nobody_has_looked_at():
    group = PdqScores()
    table = empty_table(group, 3)
    assert table.schema == stored_schema(group)
    assert table.column_names == ["pdq", "pdq_quality", "pdq_looked", "pdq_fault"]
    assert table.to_pydict() == {
        "pdq": [None] * 3,
        "pdq_quality": [None] * 3,
        "pdq_looked": [False] * 3,
        "pdq_fault": [None] * 3,
    }
    assert (empty_table(group, 0).num_rows, empty_table(group, 0).schema) == (0, table.schema)


@dataclass(frozen=True)
class Other(PdqScores):
    name: str = "other"

    def schema(self) -> pa.Schema:
        return pa.schema([("brightness", pa.float32())])


def test_two_groups_share_no_column():
    one, other = PdqScores(), Other()
    assert not set(stored_schema(one).names) & set(stored_schema(other).names)
    assert (looked_column(other), fault_column(other)) == ("other_looked", "other_fault")


@dataclass(frozen=True)
class Reader:
    """A group of one column that needs others."""

    name: str
    needs: tuple[str, ...] = ()

    def schema(self):
        return pa.schema([(f"{self.name}_column", pa.float64())])

    def reads(self):
        return self.needs

    def wanted(self, table):
        raise NotImplementedError


def test_a_group_whose_columns_another_reads_comes_before_it():
    pdq, b = PdqScores(), Reader("b")
    a, c = Reader("a", ("c_column", "key")), Reader("c", ("c_column",))
    assert [one.name for one in sources_first([a, pdq, b, c])] == ["pdq", "b", "c", "a"]
    assert sources_first([pdq, b]) == [pdq, b]
    assert reads_of(a, [b, c])
    assert not reads_of(c, [c, b])  # its own do not count
    assert [is_sparing(group) for group in (a, pdq)] == [True, False]


def test_groups_that_wait_for_each_other_are_refused():
    with pytest.raises(InputError, match="the scores a and b wait for each other's"):
        sources_first([Reader("a", ("b_column",)), Reader("b", ("a_column",))])
