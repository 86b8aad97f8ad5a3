"""Which tars there are, how many samples they hold, how many steps that makes."""

import json
import uuid
from pathlib import Path

import fsspec
import pytest
from raw_shards import pairs, write_tar

from data_filters.errors import InputError
from pretrain.data.shards.shard_records import record_shards
from pretrain.data.webdataset.tar_folder import PlainTar, TarFolder, open_tars, recorded_tars


def counts(uri: str, known=()) -> list[int]:
    return [tar.samples for tar in open_tars(uri, known=known).shards]


def test_local_tars_are_counted_whatever_the_statistics_beside_them_say(plain, tmp_path, caplog):
    assert counts(plain) == [13] * 4
    (tmp_path / "raw" / "00001_stats.json").write_text(json.dumps({"count": 20, "successes": 13}))
    assert counts(plain) == [13] * 4
    assert not caplog.records
    (tmp_path / "raw" / "00002_stats.json").write_text(json.dumps({"count": 90, "successes": 80}))
    (tmp_path / "raw" / "00003_stats.json").write_text("{}")
    assert counts(plain) == [13] * 4
    assert "00002.tar holds 13 samples" in caplog.text
    assert "00002_stats.json says 80; 13 are used" in caplog.text
    assert "00003_stats.json names no number of successes" in caplog.text


def test_remote_tars_are_not_read_for_a_count_that_stands_beside_them(plain, tmp_path):
    store = fsspec.filesystem("memory")
    folder = f"/{uuid.uuid4().hex}"
    for tar in sorted((tmp_path / "raw").iterdir()):
        store.pipe_file(f"{folder}/{tar.name}", tar.read_bytes())
    store.pipe_file(f"{folder}/00001_stats.json", b'{"successes": 12}')
    assert counts(f"memory:/{folder}") == [13, 12, 13, 13]


def test_an_unchanged_tar_keeps_its_recorded_count_and_a_changed_one_is_counted(plain):
    records = record_shards(open_tars(plain).found())
    assert counts(plain, [{**record, "samples": 5} for record in records]) == [5] * 4, "not counted again"
    write_tar(Path(plain) / "00002.tar", pairs(3))
    assert counts(plain, [{**record, "samples": 5} for record in records]) == [5, 5, 3, 5]


def test_workers_take_the_tars_of_the_runs_record(plain):
    source = open_tars(plain)
    again = recorded_tars(plain, record_shards(source.found()), source.cache_options)
    assert again == source


@pytest.mark.parametrize(
    ("ranks", "batch", "message"), [(5, 10, "4 shards and no manifests"), (1, 60, "60, of which a worker")]
)
def test_too_few_tars_or_samples_are_refused(plain, ranks, batch, message):
    with pytest.raises(InputError, match=message):
        open_tars(plain).plan(batch, ranks)


def test_tars_are_listed_by_name_and_empty_ones_left_out(folder, pair, tmp_path):
    uri = folder([[pair(0)], [], [pair(1), pair(2)]])
    (tmp_path / "raw" / "notes.txt").write_text("no tar")
    (tmp_path / "raw" / "below").mkdir()
    assert open_tars(uri).shards == (
        PlainTar(f"{uri}/00000.tar", 1),
        PlainTar(f"{uri}/00002.tar", 2),
    )


def test_the_smallest_part_of_a_worker_makes_the_steps():
    """Workers 0 and 1 read every second tar: 5 + 30 and 20 samples; 3 a step each."""
    source = TarFolder("uri", (PlainTar("a", 5), PlainTar("b", 20), PlainTar("c", 30)))
    plan = source.plan(6, 2)
    assert (plan.steps_per_epoch, plan.batch_size) == (20 // 3, 6)
    assert source.plan(6, 1).steps_per_epoch == 55 // 6


def test_a_cut_tar_counts_what_is_whole(plain, tmp_path, caplog):
    cut = tmp_path / "raw" / "00001.tar"
    cut.write_bytes(cut.read_bytes()[: 5 * 2048 + 700])  # four members whole and a part of one
    found = counts(plain)
    assert found[0] == found[2] == found[3] == 13
    assert 4 <= found[1] <= 5
    assert "samples before that are used" in caplog.text


def test_phrases_are_looked_for_in_the_first_samples(folder, pair):
    def with_phrase(number):
        key, members = pair(number)
        phrases = [{"text": "picture", "start": 0, "end": 7}]
        return key, members | {"json": json.dumps({"loupe": {"phrases": phrases}}).encode()}

    source = open_tars(folder([[pair(0), pair(1), with_phrase(2)]]))
    assert source.has_phrases()
    assert not source.has_phrases(look=2)


def test_a_folder_without_tars_is_refused(tmp_path):
    with pytest.raises(InputError, match="neither manifests"):
        open_tars(str(tmp_path))
