"""What a pass refuses before it starts Ray, and a pass that has nothing left to do."""

import json

import pytest

from data_filters.errors import InputError
from data_filters.phrases import load_extractor
from pipelines.common.causes import TaskFailed
from pipelines.phrases.config import PhrasesConfig
from pipelines.phrases.run import _committed, _CopyShard, _raise_failures, phrases_pass
from pipelines.phrases.shard_copy import copy_with_phrases
from pipelines.shards.manifest import committed_shards, output_entry, write_manifest
from pipelines.shards.unit import Unit
from pipelines.shards.writer import write_shard


@pytest.fixture
def curated(tmp_path):
    folder = tmp_path / "curated"
    info = write_shard(str(folder / "0.tar"), [("a", {"txt": b"a red dog"})])
    manifest = {"config_hash": "0", "input": {}, "outputs": [output_entry(info)], "funnel": {}}
    write_manifest(str(folder), "0", manifest)
    return folder


def test_what_is_no_output_of_curation_is_refused(curated, tmp_path):
    with pytest.raises(InputError, match="holds no committed shards"):
        phrases_pass(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(InputError, match="nothing is overwritten"):
        phrases_pass(curated, f"{curated}/")
    with pytest.raises(InputError, match="en_no_such"):
        phrases_pass(curated, tmp_path / "out", PhrasesConfig(model="en_no_such"))
    assert not (tmp_path / "out").exists()


def finish(curated, output) -> None:
    (shard,) = committed_shards(str(curated))
    copy_with_phrases(shard.uri, shard.sha256, str(output), PhrasesConfig(), load_extractor())


def test_a_finished_output_is_left_alone_and_needs_no_ray(curated, tmp_path, no_ray):
    finish(curated, tmp_path / "out")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")}
    summary = phrases_pass(curated, tmp_path / "out", PhrasesConfig(workers=5))
    assert (summary.shards, summary.skipped_shards, summary.samples) == (0, 1, 0)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")} == before


def test_paths_of_workers_do_not_depend_on_the_folder_they_run_in(curated, tmp_path, monkeypatch):
    finish(curated, tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    summary = phrases_pass("curated", "out")
    assert (summary.output, summary.skipped_shards) == (str(tmp_path / "out"), 1)


def test_other_settings_and_other_shards_are_refused(curated, tmp_path):
    finish(curated, tmp_path / "out")
    with pytest.raises(InputError, match=r"config [0-9a-f]{16} \(level maximal there, base here\)"):
        phrases_pass(curated, tmp_path / "out", PhrasesConfig(level="base"))


def test_a_shard_made_anew_since_is_copied_anew(curated, tmp_path):
    finish(curated, tmp_path / "out")
    manifest = tmp_path / "out" / "manifests" / "0.json"
    held = json.loads(manifest.read_text())
    (shard,) = committed_shards(str(curated))
    assert _committed([shard], str(tmp_path / "out"), PhrasesConfig()) == {shard.uri}
    manifest.write_text(json.dumps({**held, "input": {**held["input"], "sha256": "ab"}}))
    assert _committed([shard], str(tmp_path / "out"), PhrasesConfig()) == set()
    manifest.write_text(
        json.dumps({**held, "input": {**held["input"], "sha256": "ab", "uri": "/elsewhere/0.tar"}})
    )
    with pytest.raises(
        InputError, match="made from /elsewhere/0.tar, this run reads .*, which has other bytes"
    ):
        _committed([shard], str(tmp_path / "out"), PhrasesConfig())


def test_failed_shards_are_named_and_the_users_mistake_stays_one(curated, tmp_path):
    copy = _CopyShard({"0": "ab"}, str(tmp_path / "out"), PhrasesConfig())
    changed = copy(Unit("0", str(curated / "0.tar"), 1))["error"]
    missing = copy(Unit("0", str(tmp_path / "1.tar"), 1))["error"]
    unknown = copy(Unit("0", "nowhere://b/2.tar", 1))["error"]
    with pytest.raises(TaskFailed, match=r"^2 of 9 shards .*copied: \S+/0.tar has sha256 .*/1.tar"):
        _raise_failures({str(curated / "0.tar"): changed, str(tmp_path / "1.tar"): missing}, 9)
    with pytest.raises(InputError, match=r"^1 of 9 shards .*: nowhere://b/2.tar: .*fsspec") as raised:
        _raise_failures({"nowhere://b/2.tar": unknown}, 9)
    assert "Traceback" in raised.value.__notes__[0]
    with pytest.raises(TaskFailed, match=r"^5 of 9 .*/z3.tar: .*; and 2 more\n"):
        _raise_failures(dict.fromkeys([f"/z{number}.tar" for number in range(1, 6)], changed), 9)
    _raise_failures({}, 9)
