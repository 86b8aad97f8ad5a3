"""What a run does without Ray: refusals, a finished output, and the bad samples that are too many."""

import io
import json

import pytest
from curation import curate_one
from PIL import Image

from data_filters.errors import InputError
from pipelines.curate.bad_fraction import TooManyBadSamples, check_bad_fraction
from pipelines.curate.config import CurateConfig
from pipelines.curate.funnel import Funnel
from pipelines.curate.inputs import find_units
from pipelines.curate.run import curate
from pipelines.shards.writer import write_shard

CONFIG = CurateConfig(min_side=20, max_bad_fraction=0.5)


def jpeg(side: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def finished(tmp_path):
    """Two raw shards and an output that holds both, as a run leaves it."""
    for shard, side in (("0", 40), ("1", 10)):
        samples = [
            (f"{shard}-a", {"jpg": jpeg(side), "txt": b"a red dog"}),
            (f"{shard}-b", {"txt": b"no image"}),
        ]
        write_shard(tmp_path / "raw" / f"{shard}.tar", samples)
    output = str(tmp_path / "out")
    for unit in find_units(str(tmp_path / "raw")):
        curate_one(unit, output, CONFIG)
    return tmp_path


def test_a_finished_output_is_counted_and_reported_without_ray(finished, no_ray):
    calls = []
    summary = curate(CONFIG, str(finished / "raw"), str(finished / "out"), progress=calls.append)
    assert (summary.shards, summary.shards_skipped, summary.pairs, summary.kept) == (2, 2, 2, 1)
    assert summary.rejected["small_image"] == 1
    assert summary.quarantined == {"no_image": 2}
    assert (summary.pairs_per_second, calls) == (0, [])
    report = json.loads((finished / "out" / "report.json").read_text())
    assert report["funnel"] == summary.as_json()["funnel"]
    assert summary.report == f"{finished}/out/report.html"


def test_a_dry_run_over_a_finished_output_writes_no_report(finished):
    summary = curate(CONFIG, str(finished / "raw"), str(finished / "out"), dry_run=True)
    assert (summary.kept, summary.report, summary.dry_run) == (1, None, True)
    assert not (finished / "out" / "report.json").exists()


def test_too_many_bad_samples_in_committed_shards_stop_a_run(finished):
    strict = CONFIG.model_copy(update={"max_bad_fraction": 0.4})
    with pytest.raises(TooManyBadSamples, match=r"2 of 4 samples cannot be read \(no_image 2\)"):
        curate(strict, str(finished / "raw"), str(finished / "out"))


def test_inputs_are_refused_before_anything_is_written(finished):
    with pytest.raises(InputError, match="min_side 20 there, 30 here"):
        curate(CurateConfig(min_side=30), str(finished / "raw"), str(finished / "out"))
    with pytest.raises(InputError, match="is the folder of the input"):
        curate(CONFIG, str(finished / "raw"), str(finished / "raw"))
    with pytest.raises(InputError, match="does not exist"):
        curate(CONFIG, str(finished / "absent"), str(finished / "new"))
    assert not (finished / "new").exists()


@pytest.mark.parametrize(("bad", "fine"), [(0, True), (10, True), (11, False)])
def test_the_allowed_fraction_itself_is_allowed(bad, fine):
    funnel = Funnel(samples=100, quarantined=bad, quarantine={"no_image": bad})
    if fine:
        check_bad_fraction(funnel, 0.1, [], None)
    else:
        with pytest.raises(TooManyBadSamples, match=r"more than max_bad_fraction 0\.1; see out/quarantine"):
            check_bad_fraction(funnel, 0.1, [], "out")


def test_an_estimated_number_of_lost_samples_is_called_so():
    funnel = Funnel(samples=100, quarantined=11, estimated=3, quarantine={"broken_shard": 11})
    with pytest.raises(TooManyBadSamples, match=r"^11 of 100 samples \(estimated\) cannot be read"):
        check_bad_fraction(funnel, 0.1, [], None)


def test_what_a_killed_run_left_is_removed_at_the_start(finished, no_ray):
    left = [
        finished / "out" / folder / ".0.x.0123456789ab.partial"
        for folder in ("", "quarantine", "manifests", "scores/facts", "decisions")
    ]
    for file in left:
        file.write_bytes(b"x")
    curate(CONFIG, str(finished / "raw"), str(finished / "out"), dry_run=True)
    assert all(file.exists() for file in left)
    curate(CONFIG, str(finished / "raw"), str(finished / "out"))
    assert not any(file.exists() for file in left)
