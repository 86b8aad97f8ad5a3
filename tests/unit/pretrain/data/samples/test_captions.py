"""The short way to token ids gives what the tokenizer itself gives."""

import torch

from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.tokenizer import load_tokenizer

CAPTIONS = [
    "a cat",
    "",
    "Ünïcode, naïve: a very long caption about two old trees " * 3,
    "zebra-like \n thing",
]


def test_ids_mask_and_offsets_are_the_tokenizers_own():
    tokenizer = load_tokenizer("loupe")
    for limit in (4, 12, 60):
        theirs = tokenizer(
            CAPTIONS,
            padding=True,
            truncation=True,
            max_length=limit,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        ours = CaptionEncoder(tokenizer, limit)(CAPTIONS, offsets_of=[0, 2])
        assert torch.equal(ours.input_ids, theirs["input_ids"])
        assert torch.equal(ours.attention_mask, theirs["attention_mask"])
        assert torch.equal(ours.offsets[[0, 2]], theirs["offset_mapping"][[0, 2]])
        assert not ours.offsets[[1, 3]].any()


def test_the_tokenizer_keeps_its_own_settings():
    tokenizer = load_tokenizer("loupe")
    before = tokenizer(CAPTIONS[2])["input_ids"]
    CaptionEncoder(tokenizer, 4)(CAPTIONS)
    assert tokenizer(CAPTIONS[2])["input_ids"] == before
