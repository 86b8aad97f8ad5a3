"""Batches from plain tars, without manifests."""

import json
import logging

import pytest

from data_filters.errors import InputError
from pretrain.data.datasets import open_data, open_reader
from pretrain.data.webdataset.reader import StreamReader
from pretrain.data.webdataset.tar_folder import TarFolder, open_tars
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training.setup import prepare_run

EACH = 13  # pairs in each tar of `plain`


def config(batch: int = 8, buffer: int = 1, **data) -> DualEncoderConfig:
    return DualEncoderConfig.model_validate(
        {
            "seed": 3,
            "model": {"image": {"image_size": 32}},
            "data": {"batch_size": batch, "stream_buffer": buffer, **data},
        }
    )


def reader(uri: str, rank: int = 0, ranks: int = 1, **options) -> StreamReader:
    settings = config(**options)
    opened = open_reader(settings, open_data(settings, uri), rank, ranks)
    assert isinstance(opened, StreamReader)
    return opened


def keys(one: StreamReader, first: int, last: int) -> list[list[str]]:
    return [[key for batch in step for key in batch.keys] for step in one.batches(first, last)]


def names(numbers) -> list[str]:
    return [f"{number:04d}" for number in numbers]


def flat(steps) -> list[str]:
    return [key for step in steps for key in step]


def test_without_a_buffer_the_tars_are_read_in_their_order(plain):
    one = reader(plain)
    assert one.plan.steps_per_epoch == 6  # 52 samples, 8 a step
    assert flat(keys(one, 0, 6)) == names(range(48))


def test_an_epoch_ends_with_the_data_and_the_next_begins_anew(plain):
    steps = keys(reader(plain), 0, 9)
    assert flat(steps[6:]) == names(range(24))
    assert one_of_each(flat(steps[:6]))


def one_of_each(read: list[str]) -> bool:
    return len(read) == len(set(read))


def test_the_buffer_shuffles_by_seed_and_epoch_and_loses_nothing(plain):
    steps = keys(reader(plain, buffer=30), 0, 12)
    first, second = flat(steps[:6]), flat(steps[6:])
    assert first != names(range(48))
    assert one_of_each(first)
    assert one_of_each(second)
    assert first != second
    assert flat(keys(reader(plain, buffer=30), 0, 6)) == first


def test_workers_read_different_tars(plain):
    left, right = (flat(keys(reader(plain, rank, 2), 0, 6)) for rank in range(2))
    assert left == names([*range(13), *range(26, 37)])
    assert right == names([*range(13, 26), *range(39, 50)])


@pytest.mark.parametrize("buffer", [1, 20])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_restart_reads_what_would_have_come(plain, buffer, threads):
    whole = keys(reader(plain, buffer=buffer), 0, 14)
    assert keys(reader(plain, buffer=buffer, decode_threads=threads), 9, 14) == whole[9:]


def test_a_broken_sample_is_named_and_the_next_takes_its_place(folder, pair, caplog):
    pairs = [pair(number) for number in range(30)]
    pairs[4] = ("0004", {"jpg": b"no picture", "txt": b"broken"})
    pairs[9] = ("0009", {"png": pairs[9][1]["png"]})
    one = reader(folder([pairs]))
    assert one.plan.steps_per_epoch == 3
    assert flat(keys(one, 0, 3)) == names([*range(4), *range(5, 9), *range(10, 26)])
    assert one.bad == 2
    assert "sample 0004" in caplog.text
    assert "0009" in caplog.text


def test_a_cut_tar_costs_its_rest_only(folder, pair, caplog, tmp_path):
    uri = folder([[pair(shard * EACH + row) for row in range(EACH)] for shard in range(3)])
    cut = tmp_path / "raw" / "00001.tar"
    cut.write_bytes(cut.read_bytes()[: 5 * 2048 + 700])  # four members whole and a part of one
    one = reader(uri, batch=4)
    read = flat(keys(one, 0, one.plan.steps_per_epoch))
    assert one_of_each(read)
    assert set(names(range(13))) <= set(read)
    assert len(set(read) & set(names(range(26, 39)))) >= 9
    assert one.bad >= 1
    assert "00001.tar" in caplog.text


def test_what_a_tar_lost_after_it_was_counted_is_counted_in_samples(plain, tmp_path, caplog):
    tars = sorted((tmp_path / "raw").glob("*.tar"))
    one = reader(plain, batch=4, max_bad_fraction=1.0)
    tars[1].write_bytes(b"x" * 1024)  # none of its samples comes
    tars[2].write_bytes(tars[2].read_bytes()[: 5 * 2048 + 700])
    came = len(list(one.raw_samples(0))) - 2 * EACH
    assert 5 <= came <= 6, "five are whole; the sixth has an image, and is counted when it is prepared"
    assert one.bad == EACH + EACH - came
    assert f"13 of 13 samples of {tars[1]}" in caplog.text
    strict = reader(plain, batch=4)
    strict.source = one.source  # as it was counted when the tars were whole
    with pytest.raises(InputError, match=r"of 13 samples of .*0000\d\.tar"):
        list(strict.raw_samples(0))


def test_an_epoch_that_falls_short_says_that_samples_come_again(folder, pair, caplog):
    pairs = [pair(number) for number in range(16)]
    pairs[3] = ("0003", {"jpg": b"no picture", "txt": b"broken"})
    read = flat(keys(reader(folder([pairs])), 0, 2))
    assert sorted(read) == sorted([*names(n for n in range(16) if n != 3), "0000"])
    assert "come again" in caplog.text


def test_a_whole_epoch_gives_no_such_warning(plain, caplog):
    keys(reader(plain, decode_threads=2), 0, 13)
    assert "come again" not in caplog.text


def test_captions_in_the_json_count(folder, pair):
    pairs = []
    for number in range(8):
        key, members = pair(number)
        pairs.append((key, {"png": members["png"], "json": json.dumps({"caption": f"nr {number}"}).encode()}))
    assert flat(keys(reader(folder([pairs])), 0, 1)) == names(range(8))


def test_what_is_lost_is_said_once(plain, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        prepare_run(config(), plain, str(tmp_path / "run"))
    said = [record.getMessage() for record in caplog.records if "no manifests" in record.getMessage()]
    assert len(said) == 1
    assert "same order for every number of workers" in said[0]


def test_a_folder_of_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"neither manifests/\*.json nor \*.tar"):
        open_data(config(), str(tmp_path))


def test_openstax_as_it_was_downloaded_trains(shared_data):
    source = open_tars(str(shared_data / "openstax" / "raw"))
    assert isinstance(source, TarFolder)
    assert sum(tar.samples for tar in source.shards) == 2470
    one = reader(str(shared_data / "openstax" / "raw"), batch=32, buffer=100)
    assert len(flat(keys(one, 0, 2))) == 64
