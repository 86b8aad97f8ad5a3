"""A worker's batches: what is read, in which order, and what happens to a broken sample."""

import threading

import pytest
import torch

from data_filters.errors import InputError
from pretrain.data.order.batch_plan import BatchPlan
from pretrain.data.order.sample_order import SampleOrder
from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.images import Augmentation
from pretrain.data.samples.preparation import Preparation
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.data.shards.reader import Reader
from pretrain.data.shards.source import open_source


def reader(uri: str, batch: int = 8, augmentation=Augmentation((0.5, 1.0)), **options) -> Reader:
    source = open_source(uri)
    plan = BatchPlan(SampleOrder(source.shard_sizes, 5, 16), batch)
    preparation = Preparation(CaptionEncoder(load_tokenizer("loupe"), 12), 16, augmentation)
    return Reader(source, plan, preparation, **options)


def keys_by_step(one: Reader, first: int, last: int) -> list[list[str]]:
    return [[key for batch in step for key in batch.keys] for step in one.batches(first, last)]


@pytest.fixture
def data(committed, pair) -> str:
    return committed([[pair(number) for number in range(start, start + 13)] for start in (0, 13, 26)])


def test_a_step_reads_the_planned_samples_in_order(data):
    one = reader(data)
    expected = []
    for step in range(6):
        epoch, positions = one.plan.positions(step, 0, 1)
        places = [one.plan.order.locate(epoch, position) for position in positions]
        expected.append([f"{shard * 13 + row:04d}" for shard, row in places])
    assert keys_by_step(one, 0, 6) == expected


def test_workers_together_read_what_one_worker_reads(data):
    alone = list(reader(data).batches(0, 5))
    parts = [list(reader(data, rank=rank, ranks=2).batches(0, 5)) for rank in range(2)]
    for step, (whole,) in enumerate(alone):
        (left,), (right,) = parts[0][step], parts[1][step]
        assert left.keys + right.keys == whole.keys
        assert torch.equal(torch.cat([left.pixel_values, right.pixel_values]), whole.pixel_values)


def test_starting_later_reads_the_same(data):
    assert keys_by_step(reader(data), 3, 7) == keys_by_step(reader(data), 0, 7)[3:]


def test_micro_batches_split_the_workers_share(data):
    whole = keys_by_step(reader(data), 0, 3)
    split = list(reader(data, micro_batches=4).batches(0, 3))
    assert [len(step) for step in split] == [4, 4, 4]
    assert [[key for batch in step for key in batch.keys] for step in split] == whole


def test_threads_do_not_change_what_is_read(data):
    one, four = (next(reader(data, threads=count).batches(0, 1))[0] for count in (1, 4))
    assert one.keys == four.keys
    assert torch.equal(one.pixel_values, four.pixel_values)


def test_pixels_and_tokens(data):
    (batch,) = next(reader(data, augmentation=Augmentation(None)).batches(0, 1))
    assert batch.pixel_values.shape == (8, 3, 16, 16)
    number = int(batch.keys[0])
    colour = torch.tensor([number * 7 % 256, 128, 255 - number])
    assert batch.pixel_values.dtype == torch.uint8
    assert (batch.pixel_values[0] == colour[:, None, None]).all()
    moved = batch.to(torch.device("cpu"), torch.float32)
    torch.testing.assert_close(moved.pixel_values[0, :, 3, 5], colour / 127.5 - 1, atol=1e-6, rtol=0)
    text = load_tokenizer("loupe").decode(batch.input_ids[0], skip_special_tokens=True)
    assert text.replace(" ", "") == f"picturenumber{number}"


def test_broken_samples_are_counted_and_replaced_alike_on_any_worker(committed, pair, caplog):
    pairs = [pair(number) for number in range(40)]
    for number in (3, 17, 29):
        pairs[number] = (pairs[number][0], {"jpg": b"\xff\xd8 no picture", "txt": b"broken"})
    uri = committed([pairs])
    one = reader(uri)
    alone = keys_by_step(one, 0, 5)
    assert one.bad == 3
    assert not {"0003", "0017", "0029"} & {key for step in alone for key in step}
    assert [len(step) for step in alone] == [8] * 5
    assert "00000.tar" in caplog.text
    halves = [keys_by_step(reader(uri, rank=rank, ranks=2), 0, 5) for rank in range(2)]
    assert [left + right for left, right in zip(*halves, strict=True)] == alone


def test_too_many_broken_samples_end_the_run(committed, pair):
    broken = [(f"{number:04d}", {"jpg": b"nothing", "txt": b"broken"}) for number in range(20)]
    uri = committed([[pair(number) for number in range(100, 120)] + broken])
    with pytest.raises(InputError, match=r"samples cannot be read, .*max_bad_fraction = 0.01"):
        keys_by_step(reader(uri), 0, 5)


def test_leaving_early_leaves_no_thread_behind(data):
    batches = reader(data, prefetch=1).batches(0, 40)
    next(batches)
    batches.close()
    for thread in threading.enumerate():
        if thread.name == "loupe-reader":
            thread.join(timeout=5)
            assert not thread.is_alive()


def test_data_without_manifests_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds neither manifests"):
        open_source(str(tmp_path))
