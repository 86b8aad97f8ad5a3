"""Commit records, and the refusal to mix two configurations."""

import json

import pytest

from data_filters.errors import InputError
from pipelines.common.config import config_hash, output_settings
from pipelines.curate.config import CurateConfig
from pipelines.shards.manifest import (
    CommittedShard,
    check_same_config,
    committed_shards,
    read_manifests,
    read_own_and_foreign,
    write_manifest,
)


def commit(output: str, name: str, config: CurateConfig, samples: int = 3) -> None:
    write_manifest(
        output,
        name,
        {
            "config_hash": config_hash(config),
            "config": output_settings(config),
            "inputs": [{"name": name, "uri": "x", "size": 1, "sha256": "0"}],
            "outputs": [{"tar": f"{name}.tar", "samples": samples, "sha256": "ab"}],
            "funnel": {},
        },
    )


def test_readers_see_what_manifests_name_and_nothing_else(tmp_path):
    output = str(tmp_path)
    assert committed_shards(output) == []
    assert read_manifests(output) == {}
    commit(output, "b", CurateConfig())
    commit(output, "a", CurateConfig(), 5)
    (tmp_path / "c.tar").write_bytes(b"uncommitted")
    (tmp_path / "manifests" / ".d.json.123.partial").write_text("{")
    assert committed_shards(output) == [
        CommittedShard(f"{output}/a.tar", 5, "ab"),
        CommittedShard(f"{output}/b.tar", 3, "ab"),
    ]
    assert list(read_manifests(output)) == ["a", "b"]
    assert json.loads((tmp_path / "manifests" / "a.json").read_text())["version"] == 1


def test_another_config_is_refused_with_both_hashes_and_the_difference(tmp_path):
    there, here = CurateConfig(), CurateConfig(min_side=64)
    commit(str(tmp_path), "a", there)
    check_same_config(str(tmp_path), read_manifests(str(tmp_path)), CurateConfig(workers=7))
    with pytest.raises(InputError) as raised:
        check_same_config(str(tmp_path), read_manifests(str(tmp_path)), here)
    line = str(raised.value)
    assert config_hash(there) in line
    assert config_hash(here) in line
    assert "min_side 200 there, 64 here" in line
    assert "choose another output folder" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "text",
    ["", "\0" * 30, '{\n "config": {', '{"config_hash": 3', '{"config_hash": "a", "outputs": [{"tar": 1}]}'],
)
def test_a_damaged_manifest_is_named_and_counts_as_none_where_it_is_written_anew(tmp_path, text):
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "a.json").write_text(text)
    assert read_manifests(str(tmp_path), skip_damaged=True) == {}
    assert read_own_and_foreign(str(tmp_path)) == ({}, set())
    for reader in (read_manifests, committed_shards):
        with pytest.raises(
            InputError, match=r"manifests/a\.json is damaged; run the command that made it again"
        ):
            reader(str(tmp_path))


@pytest.mark.parametrize(
    "text", ['[{"shard": "0.tar"}]', "{}", '{"version": 1}', '{"outputs": {"a": 1}}', "0.tar", "{"]
)
def test_files_of_somebody_else_are_passed_over(tmp_path, text):
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "a.json").write_text(text)
    assert read_manifests(str(tmp_path)) == {}
    assert committed_shards(str(tmp_path)) == []
    assert read_own_and_foreign(str(tmp_path)) == ({}, {"a"})
