"""The phrases pass over curated shards, and the phrases stage of a Ray dataset, on a local Ray."""

import hashlib
import json

import pytest

from data_filters.errors import InputError
from data_filters.phrases import extract_phrases
from pipelines.phrases.config import PhrasesConfig
from pipelines.phrases.run import phrases_pass
from pipelines.phrases.stage import add_phrases
from pipelines.shards.manifest import committed_shards, write_manifest
from pipelines.shards.reader import iterate, read_index, read_members
from pipelines.shards.writer import write_shard

pytestmark = pytest.mark.ray

CAPTIONS = [
    "A girl in a blue coat.",
    "two dogs and a red umbrella",
    "",
    "running",
    "a cup 🙂 on a table",
    "Ein Hund",
]


def members(number: int, caption: str) -> dict[str, bytes]:
    metadata = {
        "z": 1,
        "caption": caption,
        "loupe": {"scores": {"itm": 0.5}, "phrases": [], "hashes": {"image": "é"}},
    }
    return {
        "jpg": bytes([number]) * 700,
        "txt": caption.encode(),
        "json": json.dumps(metadata).encode(),
        "cls": b"7",
    }


@pytest.fixture
def curated(tmp_path):
    """Three committed shards of six pairs and, in the last, one whose metadata is broken."""
    folder = tmp_path / "curated"
    for shard in range(3):
        samples = [(f"{shard}-{i}", members(i, caption)) for i, caption in enumerate(CAPTIONS)]
        if shard == 2:
            samples.append((f"{shard}-x", {"jpg": b"i", "txt": b"a red dog", "json": b"{broken"}))
        info = write_shard(str(folder / f"{shard:05d}.tar"), samples)
        output = {"tar": f"{shard:05d}.tar", "index": "", "samples": info.samples, "size": info.size}
        write_manifest(
            str(folder),
            f"{shard:05d}",
            {"config_hash": "0", "input": {}, "outputs": [{**output, "sha256": info.sha256}], "funnel": {}},
        )
    return folder


def test_only_the_phrases_change_and_every_shard_is_committed(ray_cluster, curated, tmp_path):
    output = tmp_path / "out"
    steps = []
    summary = phrases_pass(curated, output, PhrasesConfig(), lambda done, total: steps.append((done, total)))
    assert (summary.shards, summary.samples, summary.quarantine) == (3, 19, {"metadata_not_json": 1})
    assert steps == [(1, 3), (2, 3), (3, 3)]
    expected = extract_phrases(CAPTIONS)
    assert summary.phrases == 3 * sum(map(len, expected))
    assert summary.with_phrases == 3 * sum(bool(spans) for spans in expected)
    shards = committed_shards(str(output))
    assert [shard.samples for shard in shards] == [6, 6, 7]
    for shard in shards:
        name = shard.uri.rsplit("/", 1)[1]
        assert hashlib.sha256((output / name).read_bytes()).hexdigest() == shard.sha256
        for (key, before), (same, after) in zip(
            iterate(str(curated / name)), iterate(shard.uri), strict=True
        ):
            assert key == same
            assert {e: d for e, d in before.items() if e != "json"} == {
                e: d for e, d in after.items() if e != "json"
            }
            if key == "2-x":
                assert before == after
                continue
            old, new = json.loads(before["json"]), json.loads(after["json"])
            spans = expected[CAPTIONS.index(new["caption"])]
            assert [(p["start"], p["end"]) for p in new["loupe"].pop("phrases")] == spans
            old["loupe"].pop("phrases")
            assert old == new
    index = read_index(shards[0].uri)
    assert read_members(shards[0].uri, index[:1]) == [b"7"]


def test_a_second_run_skips_and_other_settings_are_refused(ray_cluster, curated, tmp_path):
    output = tmp_path / "out"
    phrases_pass(curated, output, PhrasesConfig(workers=1))
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in output.glob("*.tar")}
    (
        output / "manifests" / "00001.json"
    ).unlink()  # as if the run had been killed before it committed this one
    summary = phrases_pass(curated, output, PhrasesConfig(workers=2))
    assert (summary.shards, summary.skipped_shards) == (1, 2)
    after = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in output.glob("*.tar")}
    assert {name: data for name, (data, _) in before.items()} == {
        name: data for name, (data, _) in after.items()
    }
    assert before["00000.tar"] == after["00000.tar"]
    with pytest.raises(
        InputError, match=r"config [0-9a-f]{16}, this run has config [0-9a-f]{16}.*level maximal there"
    ):
        phrases_pass(curated, output, PhrasesConfig(level="base"))


def test_the_same_shards_give_the_same_bytes_with_any_number_of_workers(ray_cluster, curated, tmp_path):
    for workers in (1, 2):
        phrases_pass(curated, tmp_path / str(workers), PhrasesConfig(workers=workers))
    for shard in range(3):
        first, second = ((tmp_path / str(workers) / f"{shard:05d}.tar").read_bytes() for workers in (1, 2))
        assert first == second


def test_input_that_curation_did_not_write_is_refused(ray_cluster, curated, tmp_path):
    with pytest.raises(InputError, match="holds no committed shards"):
        phrases_pass(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(InputError, match="nothing is overwritten"):
        phrases_pass(curated, str(curated) + "/")
    with pytest.raises(InputError, match="en_no_such"):
        phrases_pass(curated, tmp_path / "out", PhrasesConfig(model="en_no_such"))


def test_a_damaged_shard_fails_the_run_after_the_others_are_committed(ray_cluster, curated, tmp_path):
    tar = curated / "00001.tar"
    tar.write_bytes(tar.read_bytes()[:3000])
    with pytest.raises(RuntimeError, match=r"1 of 3 shards could not be copied: .*00001\.tar"):
        phrases_pass(curated, tmp_path / "out")
    assert [shard.samples for shard in committed_shards(str(tmp_path / "out"))] == [6, 7]
    assert sorted(file.name for file in (tmp_path / "out").glob("*.tar")) == ["00000.tar", "00002.tar"]


def test_the_stage_adds_a_column(ray_cluster):
    dataset = ray_cluster.data.from_items(
        [{"id": i, "caption": caption} for i, caption in enumerate(CAPTIONS)]
    )
    rows = sorted(add_phrases(dataset, PhrasesConfig(workers=1)).take_all(), key=lambda row: row["id"])
    for row, spans in zip(rows, extract_phrases(CAPTIONS), strict=True):
        assert [(phrase["start"], phrase["end"]) for phrase in row["phrases"]] == spans
        assert all(row["caption"][p["start"] : p["end"]] == p["text"] for p in row["phrases"])
