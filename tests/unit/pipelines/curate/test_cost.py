"""The cost of a run: sums by hand, and what a scan says that its groups took."""

import time

import pyarrow as pa
import pytest
from raw_shards import pairs, write_tar

from pipelines.curate.cost import Cost, cost_section, sum_costs
from pipelines.curate.inputs import find_units
from pipelines.curate.scan import rescan, scan


def test_parts_are_summed_over_tasks():
    results = [
        {"seconds": {"facts": 1.0, "language": 0.5}, "timed_pairs": 10},
        {"seconds": {"facts": 2.0}, "timed_pairs": 20},
        {"seconds": {}, "timed_pairs": 99},
        {"funnel": {}},
    ]
    assert sum_costs(results) == [Cost("facts", 30, 3.0), Cost("language", 10, 0.5)]
    assert Cost("facts", 30, 3.0).per_pair == pytest.approx(0.1)
    assert Cost("facts", 0, 3.0).per_pair == 0
    assert Cost("language", 1000, 0.25).cells() == ["scores language", "1,000", "0.25", "250"]


def test_the_section_names_every_part_and_is_empty_without_any():
    page = str(cost_section([Cost("facts", 4, 1.0), Cost("decide", 4, 1.0), Cost("ngrams", 4, 2.0)]))
    assert page.count("<tr>") == 4
    assert "scores ngrams" in page
    assert cost_section([]) == ""


class Slow:
    """A group that takes a fifth of a second a batch."""

    name, version = "slow", 1

    def schema(self):
        return pa.schema([("slow", pa.int64())])

    def settings(self):
        return {}

    def measure(self, found):
        time.sleep(0.2)
        return pa.record_batch([pa.array([1] * len(found))], schema=self.schema())


def test_a_scan_says_what_its_groups_and_the_rest_took(tmp_path):
    write_tar(tmp_path / "0.tar", pairs(3))
    (unit,) = find_units(str(tmp_path / "0.tar"))
    started = time.perf_counter()
    scores = scan(unit, [Slow()])
    whole = time.perf_counter() - started
    assert set(scores.seconds) == {"facts", "slow"}
    assert 0.2 <= scores.seconds["slow"] < whole
    assert 0 < scores.seconds["facts"] <= whole - scores.seconds["slow"] + 1e-6
    assert rescan(scores, [Slow()]).seconds["slow"] >= 0.2
