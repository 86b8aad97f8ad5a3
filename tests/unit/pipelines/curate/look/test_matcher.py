"""Filled lengths, cut captions, pixels against the image processor, and broken weights."""

import numpy as np
import pytest
from pictures import look_pictures, opened
from tiny_matching import tiny_matching
from transformers import AutoImageProcessor, AutoTokenizer

from data_filters.errors import InputError
from pipelines.curate.look.matcher import FIRST_SCORES, FirstScores, Matcher, PixelInput, filled_length


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_matching(tmp_path_factory.mktemp("blip"), tokens=40)


def test_pixels_are_bytes_until_they_are_normalised(folder):
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    images = opened(look_pictures(3))
    pixels = PixelInput(processor)
    raw = pixels(images)
    assert (str(raw.dtype), tuple(raw.shape)) == ("torch.uint8", (3, 3, 32, 32))
    stock = processor(images, return_tensors="pt")["pixel_values"]
    np.testing.assert_allclose(pixels.normalised(raw), stock, atol=1e-5)
    processor.do_normalize = False  # told in no way that is known here: as the processor makes them
    plain = processor(images, return_tensors="pt")["pixel_values"]
    assert PixelInput(processor).normalised(PixelInput(processor)(images)).equal(plain)


def test_captions_are_cut_at_the_limit_and_keep_their_last_token(folder):
    texts = ["the cat sleeps " * 20, "a red cat", " ".join(["a"] * 38), " ".join(["a"] * 39)]
    found = Matcher(folder, "[CLS]", "fp32").captions(texts)
    assert found.is_cut == [True, False, False, True]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for rows, inputs in found.by_length.values():
        for row, ids, mask in zip(rows, inputs["input_ids"], inputs["attention_mask"], strict=True):
            expected = tokenizer(texts[row], truncation=True, max_length=40)["input_ids"]
            assert ids[mask == 1].tolist() == expected
            assert expected[-1] == 2


def test_a_caption_is_filled_up_to_a_length_that_depends_on_itself_alone():
    lengths = {
        tokens: filled_length(tokens, 512) for tokens in (0, 1, 16, 17, 64, 65, 128, 129, 200, 300, 512)
    }
    assert lengths == {
        0: 16, 1: 16, 16: 16, 17: 32, 64: 64, 65: 80, 128: 128, 129: 160, 200: 224, 300: 320, 512: 512,
    }  # fmt: skip
    assert filled_length(33, 35) == 35
    assert all(
        tokens <= filled_length(tokens, 512) <= max(16, 1.5 * tokens)
        for tokens in range(1, 513)
        if tokens > 31
    )


def test_a_model_that_tells_nothing_apart_stops_the_run():
    first = FirstScores("/models/blip", "ITM")
    first.add(np.full(FIRST_SCORES - 1, 0.25))
    with pytest.raises(
        InputError, match=r"/models/blip, whose first 1,000 ITM scores are all 0\.25"
    ) as caught:
        first.add(np.array([0.25]))
    assert "\n" not in str(caught.value)
    other = FirstScores("/models/blip", "ITM")
    other.add(np.array([np.nan, 0.25, 0.5]))
    other.add(np.full(3 * FIRST_SCORES, 0.25))
