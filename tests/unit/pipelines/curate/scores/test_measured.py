"""Groups are computed for batches, each pair once and in order."""

import pytest
from curation_rules import MEASURED, Letters

from data_filters.facts import Facts
from data_filters.image import ImageHeader
from pipelines.curate.scores import measured as measured_module
from pipelines.curate.scores.measured import Measured

HEADER = ImageHeader(1, 1, "png")


@pytest.mark.parametrize(("batch", "calls"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_every_pair_is_measured_once_and_in_order(monkeypatch, batch, calls):
    monkeypatch.setattr(measured_module, "BATCH", batch)
    MEASURED.clear()
    measured = Measured([Letters("e"), Letters("a", name="others")])
    for number in range(5):
        measured.add(Facts(HEADER, "e" * number + "a"))
    tables = measured.tables()
    assert tables["letters"].column("letters").to_pylist() == [0, 1, 2, 3, 4]
    assert tables["others"].column("letters").to_pylist() == [1] * 5
    assert [len(of) for of in MEASURED] == [size for size in calls for _ in range(2)]


def test_the_end_of_a_batch_is_measured_at_once_and_an_empty_one_not():
    MEASURED.clear()
    measured = Measured([Letters()])
    measured.end_batch()
    measured.add(Facts(HEADER, "e"))
    assert MEASURED == []
    measured.end_batch()
    measured.end_batch()
    assert [len(of) for of in MEASURED] == [1]


def test_without_pairs_the_columns_are_there():
    assert Measured([Letters()]).tables()["letters"].schema == Letters().schema()
    assert Measured([]).tables() == {}
