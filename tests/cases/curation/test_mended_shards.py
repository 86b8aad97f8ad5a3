"""A shard is its bytes: scans and commits of other bytes are never used, those of the same bytes always."""

import json
import os
import tarfile

import pytest
from raw_shards import CAPTION, pairs, picture, write_tar
from without_ray import without_ray

from data_filters.errors import InputError
from pipelines.curate import run
from pipelines.curate.config import CurateConfig
from pipelines.curate.run import curate
from pipelines.curate.tasks import WriteShard
from pipelines.phrases.config import PhrasesConfig
from pipelines.shards.unit import Unit
from pipelines.shards.witness import ShardChanged

CONFIG = CurateConfig(min_side=64)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, no_ray):
    without_ray(monkeypatch)


def shards(folder, caption: str = CAPTION) -> None:
    for name in "01":
        members = pairs(2, prefix=f"s{name}_")
        members[f"s{name}_00001.txt"] = caption
        write_tar(folder / f"{name}.tar", members)


def captions(output) -> dict[str, str]:
    found = {}
    for path in sorted(output.glob("*.tar")):
        with tarfile.open(path) as tar:
            found |= {m.name: tar.extractfile(m).read().decode() for m in tar if m.name.endswith("00001.txt")}
    return found


def once(tmp_path, **options):
    return curate(CONFIG, str(tmp_path / "in"), str(tmp_path / "out"), **options)


def test_mended_shards_are_scanned_anew(tmp_path):
    """The run stops after its scan; captions of the same length are put in; the run goes on."""
    shards(tmp_path / "in", "x" * len(CAPTION))
    strict = CONFIG.model_copy(update={"max_bad_fraction": 0.0})
    members = pairs(1, prefix="bad") | {"bad00000.jpg": b"no picture"}
    write_tar(tmp_path / "in" / "2.tar", members)
    with pytest.raises(run.TooManyBadSamples):
        curate(strict, str(tmp_path / "in"), str(tmp_path / "out"))
    shards(tmp_path / "in")
    write_tar(tmp_path / "in" / "2.tar", pairs(1, prefix="bad"))
    summary = curate(strict, str(tmp_path / "in"), str(tmp_path / "out"))
    assert (summary.kept, summary.quarantined, summary.shards_changed) == (5, {}, [])
    assert captions(tmp_path / "out") == {"s0_00001.txt": CAPTION, "s1_00001.txt": CAPTION}


def test_a_committed_shard_that_changed_is_curated_anew_and_that_is_said(tmp_path):
    shards(tmp_path / "in")
    once(tmp_path)
    other = "a green cat sleeps below the yellow chair now"
    members = pairs(2, prefix="s1_") | {"s1_00001.txt": other}
    write_tar(tmp_path / "in" / "1.tar", members)
    summary = once(tmp_path)
    assert (summary.shards_changed, summary.shards_skipped) == (["1"], 1)
    assert "1 shard (1.tar) has changed since it was committed: curated anew" in summary.notes
    assert captions(tmp_path / "out") == {"s0_00001.txt": CAPTION, "s1_00001.txt": other}
    assert once(tmp_path).notes == []


def test_touched_and_moved_shards_stand(tmp_path):
    shards(tmp_path / "in")
    once(tmp_path)
    os.utime(tmp_path / "in" / "0.tar", ns=(1, 1))
    assert (once(tmp_path).shards_skipped, once(tmp_path).notes) == (2, [])
    (tmp_path / "in").rename(tmp_path / "moved")
    moved = curate(CONFIG, str(tmp_path / "moved"), str(tmp_path / "out"))
    assert (moved.shards_skipped, moved.notes) == (2, [])


def test_another_shard_of_the_same_name_is_refused(tmp_path):
    shards(tmp_path / "in")
    once(tmp_path)
    shards(tmp_path / "other", "a green cat sleeps below the yellow chair now")
    with pytest.raises(InputError, match="holds results of .*/in/0.tar .* this run reads .*/other/0.tar"):
        curate(CONFIG, str(tmp_path / "other"), str(tmp_path / "out"))


def test_only_verify_sees_a_change_that_keeps_size_time_and_inode(tmp_path):
    shards(tmp_path / "in")
    once(tmp_path)
    shard = tmp_path / "in" / "0.tar"
    times = shard.stat()
    shard.write_bytes(shard.read_bytes().replace(CAPTION.encode(), CAPTION.upper().encode()))
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert once(tmp_path).shards_changed == []
    assert once(tmp_path, verify=True).shards_changed == ["0"]
    assert captions(tmp_path / "out")["s0_00001.txt"] == CAPTION.upper()


@pytest.mark.parametrize("harm", ["removed", "cut", "index", "altered"])
def test_a_committed_tar_that_is_not_whole_is_written_anew(tmp_path, harm):
    shards(tmp_path / "in")
    once(tmp_path)
    tar = tmp_path / "out" / "0.tar"
    before = tar.read_bytes()
    if harm == "removed":
        tar.unlink()
    elif harm == "cut":
        tar.write_bytes(before[:700])
    elif harm == "altered":
        tar.write_bytes(b"?" + before[1:])
    else:
        (tmp_path / "out" / "0.index.parquet").unlink()
    summary = once(tmp_path, verify=harm == "altered")
    assert summary.notes == ["the output of 1 shard (0.tar) was missing or altered: written anew"]
    assert tar.read_bytes() == before
    assert (tmp_path / "out" / "0.index.parquet").exists()


def test_a_damaged_manifest_is_written_anew(tmp_path):
    shards(tmp_path / "in")
    once(tmp_path)
    manifest = tmp_path / "out" / "manifests" / "0.json"
    before = manifest.read_bytes()
    for damage in (b"", before[: len(before) // 2]):
        manifest.write_bytes(damage)
        once(tmp_path)
        assert manifest.read_bytes() == before


def test_a_shard_replaced_between_scan_and_write_is_an_error_and_no_commit(tmp_path, monkeypatch):
    shards(tmp_path / "in")
    write = WriteShard.__call__

    def replaced(self, unit: Unit):
        if unit.name == "1":
            write_tar(tmp_path / "in" / "1.tar", {"a.jpg": picture(), "a.txt": CAPTION})
        return write(self, unit)

    monkeypatch.setattr(WriteShard, "__call__", replaced)
    with pytest.raises(ShardChanged, match=r"in/1\.tar was changed after it was scanned; wait"):
        once(tmp_path)
    assert [path.name for path in (tmp_path / "out" / "manifests").iterdir()] == ["0.json"]


def test_a_withdrawn_shard_is_said_and_dropped_on_demand(tmp_path):
    shards(tmp_path / "in")
    once(tmp_path)
    (tmp_path / "in" / "1.tar").unlink()
    said = once(tmp_path)
    assert said.as_json()["shards_withdrawn"] == ["1"]
    assert said.notes[0].startswith(
        "1 shard (1.tar) no longer in the input, still in the output; --drop-withdrawn"
    )
    assert said.kept == 4
    assert once(tmp_path, drop_withdrawn=True, dry_run=True).notes == [
        "1 shard (1.tar) no longer in the input: would be removed from the output"
    ]
    assert once(tmp_path, drop_withdrawn=True).kept == 2
    assert not list((tmp_path / "out").rglob("1.*"))
    assert once(tmp_path).notes == []


def test_somebody_elses_manifests_are_passed_over(tmp_path):
    shards(tmp_path / "in")
    own = tmp_path / "in" / "manifests" / "train.json"
    own.parent.mkdir()
    own.write_text(json.dumps([{"shard": "0.tar"}]))
    assert once(tmp_path).kept == 4
    (tmp_path / "out" / "manifests" / "notes.json").write_text("[1]")
    assert once(tmp_path).shards_skipped == 2
    assert own.exists()


def test_the_place_of_a_manifest_that_is_somebody_elses_is_refused(tmp_path):
    shards(tmp_path / "in")
    own = tmp_path / "out" / "manifests" / "0.json"
    own.parent.mkdir(parents=True)
    own.write_text("[1]")
    with pytest.raises(InputError, match=r"manifests/0\.json, which this command did not write"):
        once(tmp_path)
    assert own.read_text() == "[1]"


def test_keeping_nothing_is_the_last_word(tmp_path):
    shards(tmp_path / "in")
    summary = curate(
        CONFIG.model_copy(update={"min_side": 9000}), str(tmp_path / "in"), str(tmp_path / "out")
    )
    assert summary.notes == [
        "curation kept none of 4 pairs; the filter small_image dropped most, 4 (keeps: shorter side above 9000 px)"
    ]


def test_a_second_curation_carries_phrases_source_and_scores_on(tmp_path):
    members = {"ok00000.json": json.dumps({"caption": CAPTION, "id": 7}), **pairs(2)}
    write_tar(tmp_path / "in" / "raw.tar", members)
    phrases = CONFIG.model_copy(update={"phrases": PhrasesConfig()})
    curate(phrases, str(tmp_path / "in"), str(tmp_path / "out"))
    (tmp_path / "out").rename(tmp_path / "first")
    curate(CONFIG.model_copy(update={"min_side": 100}), str(tmp_path / "first"), str(tmp_path / "second"))

    def record(folder):
        with tarfile.open(folder / "raw.tar") as tar:
            return json.load(tar.extractfile("ok00001.json"))["loupe"]

    assert record(tmp_path / "second") == record(tmp_path / "first")
    assert record(tmp_path / "second")["phrases"]
    assert record(tmp_path / "second")["source"]["offset"] > 0
