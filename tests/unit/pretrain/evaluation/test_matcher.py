"""A matcher as evaluation opens it: its scores are those of stock calls, one pair at a time."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from random_export import random_export
from tiny_matcher import tiny_blip
from transformers import AutoImageProcessor, AutoTokenizer, BlipForImageTextRetrieval

from data_filters.errors import InputError
from data_filters.matching import MatchingSettings
from pretrain.evaluation.encoder import ExportedEncoder
from pretrain.evaluation.matcher import ExportedMatcher, cosines

CAPTIONS = {
    "matched": ["a red cat", "a dog runs", "a green dog"],
    "shuffled": ["a green dog runs a red cat runs a red cat runs a dog", "red", "cat dog"],
}


def images() -> list[Image.Image]:
    generator = np.random.default_rng(0)
    return [Image.fromarray(generator.integers(0, 256, (20 + n, 24, 3), dtype=np.uint8)) for n in range(3)]


@pytest.mark.parametrize("first", ["[CLS]", "[ENC]"])
def test_scores_are_those_of_stock_calls_one_pair_at_a_time(first, tmp_path):
    folder = tiny_blip(tmp_path / "blip", settings=MatchingSettings(first, 0.07))
    found = ExportedMatcher(folder, "cpu").scores(images(), CAPTIONS)
    stock = BlipForImageTextRetrieval.from_pretrained(folder).eval()
    tokenizer, processor = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    for kind, texts in CAPTIONS.items():
        for row, (image, text) in enumerate(zip(images(), texts, strict=True)):
            pixels = processor(image, return_tensors="pt").pixel_values
            inputs = tokenizer([text], truncation=True, max_length=12, return_tensors="pt")
            ids, mask = inputs.input_ids, inputs.attention_mask
            with torch.no_grad():
                itc = stock(pixel_values=pixels, input_ids=ids, attention_mask=mask, use_itm_head=False)[0]
                if first == "[ENC]":
                    ids = torch.cat([torch.tensor([[5]]), ids[:, 1:]], 1)
                itm = stock(pixel_values=pixels, input_ids=ids, attention_mask=mask)[0].softmax(-1)[0, 1]
            assert found[kind]["itc"][row] == pytest.approx(itc.item(), abs=1e-5)
            assert found[kind]["itm"][row] == pytest.approx(itm.item(), abs=1e-5)
    assert found["matched"]["itm"].std() > 1e-3  # the images and captions are not all one


def test_cosines_of_a_dual_encoder(tmp_path):
    encoder = ExportedEncoder(random_export(tmp_path / "run"), "cpu")
    found = cosines(encoder, images(), CAPTIONS)
    expected = [
        torch.cosine_similarity(encoder.embed_images([image])[0], encoder.embed_texts([text])[0], dim=0)
        for image, text in zip(images(), CAPTIONS["matched"], strict=True)
    ]
    assert found["matched"]["cosine"] == pytest.approx(np.array(expected), abs=1e-5)


def test_what_is_no_matcher_is_refused_in_one_line(tmp_path):
    captioner = tiny_blip(tmp_path / "captioner", "captioning")
    unknown = tiny_blip(tmp_path / "unknown", settings=MatchingSettings("[DEC]", None))
    cut = tiny_blip(tmp_path / "cut")
    (tmp_path / "cut" / "model.safetensors").write_bytes(b"nothing")
    odd = tiny_blip(tmp_path / "odd")
    (tmp_path / "odd" / "matching.json").write_text(json.dumps({"first_token": "[CLS]"}))
    for folder, said in [
        (captioner, "lacks itm_head.bias; a matcher is needed"),
        (unknown, "first_token '[DEC]', which its tokenizer does not know"),
        (cut, "cannot be opened"),
        (odd, "cannot be read"),
    ]:
        with pytest.raises(InputError) as raised:
            ExportedMatcher(folder, "cpu")
        assert said in str(raised.value)
        assert "\n" not in str(raised.value)
