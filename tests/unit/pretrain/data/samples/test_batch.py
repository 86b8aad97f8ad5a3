"""Tensors of a batch, by hand and against the stock tokenizer and image processor."""

import numpy as np
import pytest
import torch
import xxhash
from transformers import ViTImageProcessor

from pretrain.data.samples.batch import Batch, collate, hash64, normalised
from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.tokenizer import load_tokenizer

CAPTIONS = ["a red car beside two old trees", "a dog"]
SPANS = [[(0, 9), (17, 30)], [(0, 5)]]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("loupe")


def images(count=2):
    return [np.random.default_rng(n).integers(0, 256, (3, 4, 4), dtype=np.uint8) for n in range(count)]


def batch_of(tokenizer, max_phrases, limit=24) -> Batch:
    return collate(["k0", "k1"], images(), CAPTIONS, CaptionEncoder(tokenizer, limit), SPANS, max_phrases)


def test_collate_stacks_images_and_pads_captions(tokenizer):
    batch = batch_of(tokenizer, 2)
    expected = tokenizer(CAPTIONS, padding=True, return_tensors="pt")
    assert len(batch) == 2
    assert batch.keys == ["k0", "k1"]
    assert torch.equal(batch.input_ids, expected["input_ids"])
    assert torch.equal(batch.attention_mask, expected["attention_mask"])
    assert torch.equal(batch.pixel_values, torch.from_numpy(np.stack(images())))


def test_phrases_fill_their_slots(tokenizer):
    batch = batch_of(tokenizer, 3)
    assert batch.phrase_mask.tolist() == [[True, True, False], [True, False, False]]
    text = [
        [tokenizer.decode(batch.input_ids[row][tokens]) for tokens in batch.phrase_tokens[row]]
        for row in (0, 1)
    ]
    assert text == [["a red car", "two old trees", ""], ["a dog", "", ""]]


def test_a_phrase_beyond_the_cut_is_left_out(tokenizer):
    batch = batch_of(tokenizer, 2, limit=6)  # [CLS] a red car beside [SEP]
    assert batch.input_ids.shape == (2, 6)
    assert batch.phrase_mask.tolist() == [[True, False], [True, False]]


def test_without_phrases_there_is_no_slot(tokenizer):
    bare = Batch(["a"], torch.zeros(1, 3, 4, 4), torch.zeros(1, 5, dtype=torch.long), torch.ones(1, 5).long())
    for batch, count in ((batch_of(tokenizer, 0), 2), (bare, 1)):
        assert batch.phrase_tokens.shape == (count, 0, batch.input_ids.shape[1])
        assert batch.phrase_mask.shape == (count, 0)
        assert batch.phrase_mask.dtype == batch.phrase_tokens.dtype == torch.bool


def test_pixels_are_those_of_the_stock_image_processor():
    """ViTImageProcessor with its own mean and deviation of 0.5."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    stock = ViTImageProcessor(do_resize=False)(pixels.transpose(1, 2, 0), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(normalised(torch.from_numpy(pixels)[None], torch.float32), stock)


def test_numbers_are_left_as_they_are():
    pixels = torch.rand(1, 3, 4, 4)
    assert normalised(pixels, torch.bfloat16) is pixels


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_to_converts_pixels_and_leaves_the_rest(tokenizer, dtype):
    batch = batch_of(tokenizer, 2)
    moved = batch.to(torch.device("cpu"), dtype)
    assert moved.pixel_values.dtype == dtype
    expected = (batch.pixel_values.double() / 127.5 - 1).to(dtype)
    torch.testing.assert_close(
        moved.pixel_values, expected, atol=1e-2 if dtype == torch.bfloat16 else 1e-6, rtol=0
    )
    for name in ("input_ids", "attention_mask", "phrase_tokens", "phrase_mask"):
        assert torch.equal(getattr(moved, name), getattr(batch, name))
    assert batch.pixel_values.dtype == torch.uint8  # the batch itself is unchanged
    again = moved.to(torch.device("cpu"), dtype)
    assert torch.equal(again.pixel_values, moved.pixel_values)


def test_keys_and_images_are_told_by_hashes_of_64_bits(tokenizer):
    keys = ["a", "b", "a", "\ud800"]  # a key of any bytes, as a tar may hold it
    images = [np.zeros((3, 8, 8), np.uint8)] * 4
    hashes = [hash64(b"one"), hash64(b"two"), hash64(b"one"), hash64(b"three")]
    encode = CaptionEncoder(tokenizer, 8)
    batch = collate(keys, images, ["a cat"] * 4, encode, [()] * 4, 0, hashes)
    assert batch.image_hashes.tolist() == hashes
    assert batch.key_hashes.dtype == batch.image_hashes.dtype == torch.int64
    assert (batch.key_hashes[:, None] == batch.key_hashes[None]).sum() == 6
    moved = batch.to(torch.device("cpu"), torch.bfloat16)
    assert torch.equal(moved.key_hashes, batch.key_hashes)
    assert torch.equal(moved.image_hashes, batch.image_hashes)
    alone = collate(keys, images, ["a cat"] * 4, encode, [()] * 4, 0)
    assert torch.equal(alone.image_hashes, alone.key_hashes)


def test_a_hash_is_xxh3_moved_into_the_signed_range():
    assert hash64(b"") == xxhash.xxh3_64_intdigest(b"") - 2**63
    assert all(-(2**63) <= hash64(bytes([value])) < 2**63 for value in range(256))
