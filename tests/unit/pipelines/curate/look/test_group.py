"""Which groups look, and the tables that they are stored in."""

from dataclasses import dataclass

import pyarrow as pa
from curation_rules import Letters

from pipelines.curate.look.group import (
    empty_table,
    fault_column,
    is_derived,
    is_look_group,
    looked_column,
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
