"""A copied shard: new phrases, everything else byte for byte, and the counts of its manifest."""

import hashlib
import json
from pathlib import Path

import pytest

from data_filters.phrases import load_extractor
from pipelines.common.config import config_hash, output_settings
from pipelines.phrases.config import PhrasesConfig
from pipelines.phrases.shard_copy import copy_with_phrases, shard_name
from pipelines.shards.manifest import committed_shards, read_manifests
from pipelines.shards.reader import iterate
from pipelines.shards.record import read_phrases
from pipelines.shards.tar_format import BrokenShard
from pipelines.shards.witness import ShardChanged
from pipelines.shards.writer import write_shard

CONFIG = PhrasesConfig(workers=3)
SAMPLES = [
    ("a", {"jpg": b"\xff", "txt": b"a red dog", "json": b'{"z": 1, "loupe": {"scores": {}, "phrases": []}}'}),
    ("b", {"txt": b"!?", "JSON": b'{"k": "\xc3\xa9"}', "cls": b"7"}),
    ("c", {"txt": b"two cats"}),
    ("d", {"txt": b"two cats", "json": b"{broken"}),
    ("e", {"jpg": b"no caption"}),
]


def sha256_of(path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture
def copied(tmp_path):
    write_shard(tmp_path / "in" / "0.tar", SAMPLES)
    target = tmp_path / "out"
    written = str(tmp_path / "in" / "0.tar")
    manifest = copy_with_phrases(written, sha256_of(written), str(target), CONFIG, load_extractor())
    return target, manifest, dict(iterate(target / "0.tar"))


def test_only_the_phrases_change(copied):
    _, _, found = copied
    assert list(found) == [key for key, _ in SAMPLES]
    for key, members in SAMPLES:
        assert {k: v for k, v in found[key].items() if k.lower() != "json"} == {
            k: v for k, v in members.items() if k.lower() != "json"
        }
    assert found["d"] == SAMPLES[3][1]
    texts = {
        key: [phrase.text for phrase in read_phrases(json.loads(found[key][name]))]
        for key, name in [("a", "json"), ("b", "JSON"), ("c", "json"), ("e", "json")]
    }
    assert texts == {"a": ["a red dog"], "b": [], "c": ["two cats"], "e": []}
    assert found["b"]["JSON"].decode() == '{"k": "é", "loupe": {"phrases": []}}'
    assert list(json.loads(found["a"]["json"])["loupe"]) == ["scores", "phrases"]


def test_the_manifest_counts_and_names_what_decides_the_output(copied, tmp_path):
    target, manifest, _ = copied
    assert manifest["funnel"] == {"samples": 5, "with_phrases": 2, "phrases": 2}
    assert manifest["quarantine"] == {"metadata_not_json": 1}
    assert manifest["input"] == {
        "uri": str(tmp_path / "in" / "0.tar"),
        "size": (tmp_path / "in" / "0.tar").stat().st_size,
        "sha256": sha256_of(tmp_path / "in" / "0.tar"),
    }
    assert (manifest["config_hash"], manifest["config"]) == (config_hash(CONFIG), output_settings(CONFIG))
    assert "workers" not in manifest["config"]
    assert read_manifests(str(target)) == {"0": {"version": 1, **manifest}}
    (shard,) = committed_shards(target)
    assert shard.sha256 == hashlib.sha256((target / "0.tar").read_bytes()).hexdigest()
    assert manifest["outputs"][0]["index"] == "0.index.parquet"


def test_a_damaged_shard_is_not_committed(tmp_path):
    write_shard(tmp_path / "0.tar", SAMPLES)
    (tmp_path / "0.tar").write_bytes((tmp_path / "0.tar").read_bytes()[:1000])
    sha256 = sha256_of(tmp_path / "0.tar")
    with pytest.raises(BrokenShard):
        copy_with_phrases(str(tmp_path / "0.tar"), sha256, str(tmp_path / "out"), CONFIG, load_extractor())
    assert committed_shards(tmp_path / "out") == []
    assert not list((tmp_path / "out").glob("*"))


def test_a_shard_of_other_bytes_than_its_manifest_names_is_not_copied(tmp_path):
    write_shard(tmp_path / "0.tar", SAMPLES)
    with pytest.raises(ShardChanged, match=r"0\.tar has sha256 [0-9a-f]{64}, its manifest names ab; run"):
        copy_with_phrases(str(tmp_path / "0.tar"), "ab", str(tmp_path / "out"), CONFIG, load_extractor())
    assert not (tmp_path / "out").exists()


def test_the_name_is_that_of_the_file():
    assert shard_name("s3://bucket/x.tar/00001.tar") == "00001"
