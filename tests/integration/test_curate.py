"""Curation through Ray Data on real shards, and what it does with bad input, damage and interruption."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import pipelines
from cluster.recipes import load_recipe
from data_filters.errors import InputError
from pipelines.common.config import config_hash
from pipelines.curate.config import CurateConfig
from pipelines.curate.run import ShardProgress, TooManyBadSamples, curate
from pipelines.shards.manifest import committed_shards
from pipelines.shards.reader import iterate, read_index, walk

pytestmark = pytest.mark.ray

CONFIG = CurateConfig(min_side=200)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def raw(shared_data, tmp_path_factory) -> Path:
    """Three real shards, 470 pairs."""
    folder = tmp_path_factory.mktemp("raw")
    for name in ["00003.tar", "00011.tar", "00012.tar"]:
        (folder / name).symlink_to(shared_data / "openstax" / "raw" / name)
    return folder


@pytest.fixture(scope="module")
def curated(raw, ray_cluster, tmp_path_factory):
    output = tmp_path_factory.mktemp("curated") / "out"
    reports: list[ShardProgress] = []
    summary = curate(CONFIG, str(raw), str(output), progress=reports.append)
    return output, summary, reports


def test_kept_and_rejected_are_what_pillow_and_split_say(raw, curated):
    """Checks against an independent referee: every image is decoded and every rule is written out again."""
    import io

    from PIL import Image

    expected, reasons = [], {"small_image": 0, "extreme_aspect": 0, "few_words": 0, "many_words": 0}
    for path in sorted(raw.iterdir()):
        with tarfile.open(path) as tar:
            for member in tar.getmembers():
                if not member.name.endswith(".jpg"):
                    continue
                width, height = Image.open(io.BytesIO(tar.extractfile(member).read())).size
                key = member.name[:-4]
                words = len(tar.extractfile(f"{key}.txt").read().decode().split())
                if width <= 200 or height <= 200:
                    reasons["small_image"] += 1
                elif max(width / height, height / width) > 10:
                    reasons["extreme_aspect"] += 1
                elif words < 3:
                    reasons["few_words"] += 1
                elif words > 100:
                    reasons["many_words"] += 1
                else:
                    expected.append(key)
    output, summary, _ = curated
    keys = [key for path in sorted(output.glob("*.tar")) for key, _ in iterate(path)]
    assert keys == expected
    assert summary.kept == len(expected)
    assert summary.pairs == 470
    assert summary.rejected == reasons
    assert sum(reasons.values()) + len(expected) == 470


def test_bytes_are_those_of_the_raw_shards_and_the_index_leads_to_them(raw, curated):
    output, _, _ = curated
    for path in sorted(output.glob("*.tar")):
        with tarfile.open(raw / path.name) as source, tarfile.open(path) as tar:
            names = tar.getnames()
            assert names == sorted(names)
            for name in names:
                curated_bytes, raw_bytes = tar.extractfile(name).read(), source.extractfile(name).read()
                if not name.endswith(".json"):
                    assert curated_bytes == raw_bytes
                    continue
                metadata = json.loads(curated_bytes)
                loupe = metadata.pop("loupe")
                assert metadata == json.loads(raw_bytes)
                first = min(
                    m.offset_data for m in source.getmembers() if m.name.split(".")[0] == name.split(".")[0]
                )
                assert loupe["source"] == {"shard": path.name, "offset": first}
        assert pq.read_metadata(path.with_suffix(".index.parquet")).num_rows == len(names)
        assert read_index(path) == list(walk(path))


def test_progress_summary_and_report(curated):
    output, summary, reports = curated
    for phase in ("scan", "write"):
        of_phase = [shard_progress for shard_progress in reports if shard_progress.phase == phase]
        assert [shard_progress.done for shard_progress in of_phase] == [1, 2, 3]
        assert sorted(shard_progress.shard for shard_progress in of_phase) == [
            "00003.tar",
            "00011.tar",
            "00012.tar",
        ]
        assert sum(shard_progress.kept for shard_progress in of_phase) == summary.kept
    report = json.loads((output / "report.json").read_text())
    assert report["funnel"]["kept"] == summary.kept
    assert report["config_hash"] == config_hash(CONFIG) == summary.config_hash
    assert (output / "report.html").read_text().startswith("<!doctype html>")
    assert sum(shard.samples for shard in committed_shards(output)) == summary.kept


def test_another_run_with_another_number_of_workers_gives_the_same_bytes(raw, curated, tmp_path):
    output, _, _ = curated
    curate(CONFIG.model_copy(update={"workers": 1}), str(raw), str(tmp_path / "out"))
    again, first = tree(tmp_path / "out"), tree(output)
    for name in ("report.html",):  # names the output folder
        again.pop(name)
        first.pop(name)
    assert again == first


def test_resume_does_what_is_missing_and_nothing_else(raw, curated, tmp_path):
    whole, _, _ = curated
    output = tmp_path / "out"
    curate(CONFIG, str(raw), str(output))
    (output / "manifests" / "00011.json").unlink()
    (output / "00011.tar").write_bytes(b"half")
    (output / ".00011.tar.0123456789ab.partial").write_bytes(b"left by a killed writer")
    before = {path: path.stat().st_mtime_ns for path in output.glob("0000*.tar")}
    reports: list[ShardProgress] = []
    summary = curate(CONFIG, str(raw), str(output), progress=reports.append)
    assert {report.shard for report in reports} == {"00011.tar"}
    assert summary.shards_skipped == 2
    assert summary.pairs == 470
    assert {path: path.stat().st_mtime_ns for path in before} == before
    left = tree(output)
    assert {name: data for name, data in left.items() if name != "report.html"} == {
        name: data for name, data in tree(whole).items() if name != "report.html"
    }


def test_another_config_is_refused_and_nothing_changes(raw, curated):
    output, _, _ = curated
    before = tree(output)
    other = CurateConfig(min_side=64)
    with pytest.raises(
        InputError, match=f"{config_hash(CONFIG)}.*{config_hash(other)}.*min_side 200 there, 64 here"
    ):
        curate(other, str(raw), str(output))
    assert tree(output) == before


def test_an_update_gives_what_a_fresh_run_gives_and_leaves_scores_alone(raw, curated, tmp_path):
    whole, _, _ = curated
    output = tmp_path / "out"
    shutil.copytree(whole, output)
    stricter = CurateConfig(min_side=240)
    before = {path: path.stat().st_mtime_ns for path in (output / "scores").rglob("*.parquet")}
    assert len(before) == 2 * 3
    summary = curate(stricter, str(raw), str(output), update=True)
    fresh = curate(stricter, str(raw), str(tmp_path / "fresh"))
    assert summary.funnel == fresh.funnel
    assert 0 < summary.tars_written <= 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    ours, theirs = tree(output), tree(tmp_path / "fresh")
    assert sorted(ours) == sorted(theirs)
    different = {name for name in ours if ours[name] != theirs[name]}
    assert different == {"report.html", *(f"manifests/{path.stem}.json" for path in raw.iterdir())}
    for name in different - {"report.html"}:
        updated, new = json.loads(ours[name]), json.loads(theirs[name])
        assert [past["config_hash"] for past in updated.pop("history")] == [config_hash(CONFIG)]
        assert new.pop("history") == []
        assert updated == new


def test_dry_run_counts_the_same_and_writes_nothing(raw, curated, tmp_path):
    _, summary, _ = curated
    dry = curate(CONFIG, str(raw), str(tmp_path / "out"), dry_run=True)
    assert dry.funnel == summary.funnel
    assert dry.report is None
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["missing", "empty", "no pairs"])
def test_bad_input_is_one_line_and_makes_no_output(tmp_path, kind):
    folder = tmp_path / "in"
    if kind != "missing":
        folder.mkdir()
    if kind == "no pairs":
        with tarfile.open(folder / "0.tar", "w"):
            pass
    with pytest.raises(InputError) as raised:
        curate(CONFIG, str(folder), str(tmp_path / "out"))
    assert "\n" not in str(raised.value)
    assert str(folder) in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_damage_is_quarantined_up_to_the_allowed_fraction(shared_data, ray_cluster, tmp_path):
    data = (shared_data / "openstax" / "raw" / "00012.tar").read_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "whole.tar").write_bytes(data)
    (tmp_path / "in" / "cut.tar").write_bytes(data[: len(data) // 2])
    (tmp_path / "in" / "noise.tar").write_bytes(bytes(range(256)) * 40)
    with pytest.raises(
        TooManyBadSamples, match=r"(\d+) of \d+ samples \(estimated\) cannot be read \(broken_shard \1\)"
    ):
        curate(
            CONFIG.model_copy(update={"max_bad_fraction": 0.01}), str(tmp_path / "in"), str(tmp_path / "out")
        )
    assert committed_shards(tmp_path / "out") == []
    allowing = CONFIG.model_copy(update={"max_bad_fraction": 0.6})
    summary = curate(allowing, str(tmp_path / "in"), str(tmp_path / "out"))
    assert 80 < summary.pairs < 140
    # Of the cut shard as many count as lost as were found in it, of the noise one sample.
    with tarfile.open(tmp_path / "in" / "whole.tar") as tar:
        in_whole = sum(name.endswith(".jpg") for name in tar.getnames())
    assert summary.quarantined == {"broken_shard": summary.pairs - in_whole + 1}
    rows = [
        row for path in (tmp_path / "out" / "quarantine").iterdir() for row in pq.read_table(path).to_pylist()
    ]
    assert {row["shard"]: row["stage"] for row in rows} == {"cut.tar": "scan", "noise.tar": "scan"}
    cut = next(row for row in rows if row["shard"] == "cut.tar")
    assert 0 < cut["offset"] <= len(data) // 2
    assert [shard.uri.rsplit("/", 1)[1] for shard in committed_shards(tmp_path / "out")] == [
        "cut.tar",
        "whole.tar",
    ]


SCRIPT = """
import sys
from pipelines.curate.config import CurateConfig
from pipelines.curate.run import curate
def tell(report):
    if report.phase == "write":
        print("committed", report.shard, flush=True)
curate(CurateConfig(min_side=200, workers=1), sys.argv[1], sys.argv[2], progress=tell)
"""


def test_a_run_killed_in_the_middle_starts_ray_by_itself_is_quiet_and_is_completed(raw, curated, tmp_path):
    whole, _, _ = curated
    output = tmp_path / "out"
    command = [sys.executable, "-c", SCRIPT, str(raw), str(output)]
    # A session of its own, so that its Ray processes can be ended with it, and no others.
    killed = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert killed.stdout.readline().startswith("committed")
    os.killpg(killed.pid, signal.SIGKILL)
    _, noise = killed.communicate()
    assert noise == ""
    assert 1 <= len(list((output / "manifests").glob("*.json"))) <= 3
    for _ in range(
        50
    ):  # a worker that lives in another session ends when it notices; its commit is whole as well
        count = len(list((output / "manifests").glob("*.json")))
        time.sleep(0.1)
        if len(list((output / "manifests").glob("*.json"))) == count:
            break
    curate(CONFIG, str(raw), str(output))
    ours = {
        name: data
        for name, data in tree(output).items()
        if name != "report.html" and not name.startswith(".")
    }
    assert ours == {name: data for name, data in tree(whole).items() if name != "report.html"}


def test_every_flaw_that_one_pair_shows_is_found_and_no_good_pair_is_lost(ray_cluster, tmp_path):
    """Compares with the icon world's record of the pairs that it damaged, and how."""
    pytest.importorskip("fontawesomefree")
    from pipelines.icon_world import render_world

    render_world(
        str(tmp_path / "world"),
        100,
        seed=5,
        image_size=112,
        flaws=True,
        test_pairs=10,
        unseen_pairs=0,
        workers=1,
    )
    recipes = Path(pipelines.__file__).parent / "recipes"
    config = load_recipe(CurateConfig, recipes, "icon_world")
    summary = curate(config, str(tmp_path / "world" / "train"), str(tmp_path / "out"))
    truth = pq.read_table(tmp_path / "world" / "ground_truth.parquet").to_pylist()
    spoiled = {
        "tiny_image": "small_image",
        "extreme_aspect": "extreme_aspect",
        "short_caption": "few_words",
        "long_caption": "many_words",
        "broken_image": "unknown_image_format",
        "truncated_image": "truncated_image",
        "undecodable_caption": "caption_not_utf8",
    }
    expected: dict[str, int] = {}
    for row in truth:
        if row["flaw"] in spoiled:
            expected[spoiled[row["flaw"]]] = expected.get(spoiled[row["flaw"]], 0) + 1
    assert len(expected) == len(spoiled)
    assert {**summary.rejected, **summary.quarantined} == {**expected, "formats": 0}
    kept = {key for shard in committed_shards(tmp_path / "out") for key, _ in iterate(shard.uri)}
    every = {key for path in (tmp_path / "world" / "train").glob("*.tar") for key, _ in iterate(path)}
    assert every - kept == {row["key"] for row in truth if row["flaw"] in spoiled}


@pytest.mark.ray
def test_phrases_are_found_while_curating_and_shown(icon_world, ray_cluster, tmp_path):
    from pipelines.phrases.config import PhrasesConfig

    output = tmp_path / "curated"
    curate(CurateConfig(min_side=32, phrases=PhrasesConfig()), str(icon_world / "test"), str(output))
    mentions = found = 0
    for _, members in iterate(str(output / "00000.tar")):
        record = json.loads(members["json"])
        spans = {(phrase["start"], phrase["end"]) for phrase in record["loupe"]["phrases"]}
        for phrase in record["loupe"]["phrases"]:
            assert phrase["text"] == record["caption"][phrase["start"] : phrase["end"]]
        for mention in record["mentions"]:
            mentions += 1
            found += any(end == mention["end"] and start <= mention["start"] for start, end in spans)
    assert found / mentions > 0.95
    assert "<mark>" in (output / "phrases.html").read_text()
    assert 'href="phrases.html"' in (output / "report.html").read_text()
