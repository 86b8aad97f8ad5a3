"""Samples to pairs to batches, and the count of those that cannot be read."""

import io
import threading

import numpy as np
import pytest
from PIL import Image

from data_filters.errors import InputError
from data_filters.sample import BrokenSample, Sample
from pretrain.data.samples.batch import hash64
from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.images import Augmentation
from pretrain.data.samples.preparation import BadSamples, Preparation
from pretrain.data.samples.tokenizer import load_tokenizer

CAPTION = "a red car beside two old trees"
PHRASES = {"loupe": {"phrases": [{"text": "a red car", "start": 0, "end": 9}]}}


def preparation(augmentation=Augmentation(None), **options) -> Preparation:
    return Preparation(CaptionEncoder(load_tokenizer("loupe"), 24), 16, augmentation, **options)


def sample(metadata=None, caption=CAPTION, image=True) -> Sample:
    values = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return Sample("key", file.getvalue() if image else None, "png" if image else None, caption, metadata)


def test_an_image_without_augmentation_is_pillows_resize():
    pair = preparation().pair(sample(), (1,))
    original = Image.open(io.BytesIO(sample().image))
    expected = np.asarray(original.resize((16, 16), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert (pair.image == expected).all()
    assert (pair.key, pair.caption, list(pair.phrases)) == ("key", CAPTION, [])


def test_random_choices_are_a_function_of_the_seed():
    prepare = preparation(Augmentation((0.3, 1.0), flip=True)).pair
    first, again = (prepare(sample(), (3, 1, 4)).image for _ in range(2))
    assert (first == again).all()
    others = [prepare(sample(), (3, 1, number)).image for number in range(5, 9)]
    assert all((first != other).any() for other in others)


def test_phrases_are_read_where_slots_or_a_share_ask_for_them():
    assert list(preparation(max_phrases=2).pair(sample(PHRASES), (1,)).phrases) == [(0, 9)]
    assert list(preparation().pair(sample(PHRASES), (1,)).phrases) == []


def test_a_share_of_captions_is_replaced_by_a_phrase():
    prepare = preparation(phrase_share=0.25).pair
    captions = [prepare(sample(PHRASES), (number,)).caption for number in range(400)]
    assert set(captions) == {CAPTION, "a red car"}
    assert 0.18 < captions.count("a red car") / 400 < 0.32  # three standard deviations
    assert all(preparation(phrase_share=1.0).pair(sample(), (n,)).caption == CAPTION for n in range(5))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (sample(image=False), "no_image"),
        (sample(caption=None), "no_caption"),
        (sample(caption=""), "no_caption"),
        (Sample("key", b"\xff\xd8 no picture", "jpg", CAPTION, None), "unknown_image_format"),
        (sample({"loupe": {"phrases": [{"text": "x", "start": 0, "end": 99}]}}), "broken_phrases"),
        (sample({"loupe": {"phrases": [{"text": "x", "start": 1e999, "end": 1}]}}), "broken_phrases"),
    ],
)
def test_what_cannot_be_read_is_an_error(broken, message):
    with pytest.raises(BrokenSample, match=message):
        preparation(max_phrases=1).pair(broken, (1,))


def test_batches_are_equal_consecutive_parts():
    prepare = preparation()
    pairs = [prepare.pair(sample(), (1,))._replace(key=str(number)) for number in range(6)]
    batches = prepare.batches(pairs, 3)
    assert [batch.keys for batch in batches] == [["0", "1"], ["2", "3"], ["4", "5"]]
    assert batches[0].pixel_values.shape == (2, 3, 16, 16)


def test_ten_bad_samples_are_always_allowed_and_named(caplog):
    bad = BadSamples(0.0)
    for number in range(10):
        bad.saw()
        bad.add(f"sample {number}", ValueError("truncated"))
    assert (bad.count, bad.seen) == (10, 10)
    assert "sample 7 replaced: ValueError: truncated" in caplog.text
    with pytest.raises(InputError, match=r"11 of 10 samples cannot be read, the last here: gone"):
        bad.add("here", OSError("gone"))


def test_beyond_ten_the_share_decides():
    bad = BadSamples(0.02)
    bad.saw(1000)
    for _ in range(20):
        bad.add("here", OSError())
    with pytest.raises(InputError, match=r"max_bad_fraction = 0.02"):
        bad.add("here", OSError())


def test_threads_lose_no_count():
    bad = BadSamples(1.0)

    def count():
        for _ in range(500):
            bad.saw()

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bad.seen == 4000


def test_an_image_is_told_by_its_files_bytes_however_it_is_cropped():
    prepare = preparation(Augmentation((0.3, 0.5)))
    one, other = (prepare.pair(sample(), (seed,)) for seed in (1, 2))
    assert not np.array_equal(one.image, other.image)
    assert one.image_hash == other.image_hash == hash64(sample().image)
    (batch,) = prepare.batches([one, other], 1)
    assert batch.image_hashes.tolist() == [one.image_hash] * 2
