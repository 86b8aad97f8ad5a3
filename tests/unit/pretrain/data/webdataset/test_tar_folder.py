"""Which tars there are, how many samples they hold, how many steps that makes."""

import json

import pytest

from data_filters.errors import InputError
from pretrain.data.webdataset.tar_folder import TarFolder, open_tars


def test_counts_come_from_the_statistics_beside_a_tar(plain, tmp_path):
    assert [count for _, count in open_tars(plain).shards] == [13] * 4
    (tmp_path / "raw" / "00002_stats.json").write_text(json.dumps({"count": 20, "successes": 12}))
    (tmp_path / "raw" / "00003_stats.json").write_text("{}")
    assert [count for _, count in open_tars(plain).shards] == [13, 13, 12, 13]


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
    assert open_tars(uri).shards == ((f"{uri}/00000.tar", 1), (f"{uri}/00002.tar", 2))


def test_the_smallest_part_of_a_worker_makes_the_steps():
    """Workers 0 and 1 read every second tar: 5 + 30 and 20 samples; 3 a step each."""
    source = TarFolder("uri", (("a", 5), ("b", 20), ("c", 30)))
    plan = source.plan(6, 2)
    assert (plan.steps_per_epoch, plan.batch_size) == (20 // 3, 6)
    assert source.plan(6, 1).steps_per_epoch == 55 // 6


def test_a_cut_tar_counts_what_is_whole(plain, tmp_path, caplog):
    cut = tmp_path / "raw" / "00001.tar"
    cut.write_bytes(cut.read_bytes()[: 5 * 2048 + 700])  # four members whole and a part of one
    counts = [count for _, count in open_tars(plain).shards]
    assert counts[0] == counts[2] == counts[3] == 13
    assert 4 <= counts[1] <= 5
    assert "samples before that are used" in caplog.text


def test_records_name_every_tar_and_identity_follows_names_and_counts():
    source = TarFolder("uri", (("a", 5), ("b", 20)))
    assert source.record() == [
        {"uri": "a", "samples": 5, "sha256": ""},
        {"uri": "b", "samples": 20, "sha256": ""},
    ]
    assert json.loads(json.dumps(source.identity())) == source.identity() == [["a", 5], ["b", 20]]
    assert TarFolder("uri", (("a", 5), ("b", 21))).identity() != source.identity()


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
