"""Which shards a pilot takes, and its forecast of a curated shard against the shard that is written."""

from collections import Counter

import pytest
from curation import curate_one
from raw_shards import pairs, picture, write_tar

from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units
from pipelines.curate.kept_samples import Part
from pipelines.curate.pilot import PROBED, pilot_units, probe
from pipelines.shards.unit import Unit

UNITS = [Unit(f"{number:02}", "", 1) for number in range(12)]


def test_a_sample_is_drawn_again_by_its_seed_in_order_and_without_repetition():
    first = pilot_units(UNITS, 5)
    assert first == pilot_units(UNITS, 5)
    assert [unit.name for unit in first] == sorted({unit.name for unit in first})
    assert len(first) == 5
    assert pilot_units(UNITS, 12) == UNITS == pilot_units(UNITS, 40)


def test_every_shard_has_the_same_chance():
    """3,000 samples of 3 of 12: 750 times each in the mean, standard deviation 23.7."""
    counts = Counter(unit.name for seed in range(3000) for unit in pilot_units(UNITS, 3, seed))
    assert len(counts) == 12
    assert all(abs(count - 750) < 5 * 23.7 for count in counts.values())


@pytest.mark.parametrize("count", [40, PROBED + 60])
def test_the_forecast_of_bytes_is_close_to_the_tar(tmp_path, count):
    members = pairs(count)
    members["small.jpg"], members["small.txt"] = picture(30, 30), "one two three"
    write_tar(tmp_path / "raw" / "0.tar", members)
    (unit,) = find_units(str(tmp_path / "raw"))
    scores, decision, manifest = curate_one(unit, str(tmp_path / "out"), CurateConfig())
    size, seconds = probe(Part(scores, decision), CurateConfig())
    assert manifest["funnel"]["kept"] == count
    # The tar's end is padded to 10,240 bytes.
    assert size == pytest.approx(manifest["outputs"][0]["size"], rel=0.01, abs=12_000)
    assert seconds > 0


def test_a_shard_without_kept_pairs_takes_nothing(tmp_path):
    write_tar(tmp_path / "raw" / "0.tar", pairs(2))
    (unit,) = find_units(str(tmp_path / "raw"))
    config = CurateConfig(min_side=5000)
    scores, decision, _ = curate_one(unit, str(tmp_path / "out"), config)
    assert probe(Part(scores, decision), config) == (0.0, 0.0)
