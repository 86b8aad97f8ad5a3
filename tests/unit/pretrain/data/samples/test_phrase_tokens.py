"""Phrases meet their tokens, whole or not at all."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.data.samples.phrase_tokens import align_phrases
from pretrain.data.samples.tokenizer import load_tokenizer

TOKENIZER = load_tokenizer("loupe")


def encode(captions, max_length=60):
    return TOKENIZER(
        captions,
        padding=True,
        truncation=True,
        max_length=max_length,
        return_offsets_mapping=True,
        return_tensors="pt",
    )


def words_of(encoded, row, where):
    return TOKENIZER.decode(encoded["input_ids"][row][where])


def span(caption, phrase):
    start = caption.index(phrase)
    return start, start + len(phrase)


def test_each_phrase_covers_its_own_words_and_no_others():
    captions = ["A girl in a blue coat.", "two dogs"]
    phrases = [["A girl in a blue coat", "A girl", "a blue coat"], ["two dogs"]]
    encoded = encode(captions)
    found = align_phrases(
        encoded["offset_mapping"],
        [[span(c, p) for p in ps] for c, ps in zip(captions, phrases, strict=True)],
        4,
    )
    assert found.tokens.shape == (2, 4, encoded["input_ids"].shape[1])
    assert found.mask.tolist() == [[True, True, True, False], [True, False, False, False]]
    assert found.source.tolist() == [[0, 1, 2, -1], [0, -1, -1, -1]]
    for row, texts in enumerate(phrases):
        for slot, text in enumerate(texts):
            assert words_of(encoded, row, found.tokens[row, slot]) == text.lower()
    assert not found.tokens[..., 0].any()  # [CLS]
    assert not found.tokens[0, 3].any()


def test_a_phrase_that_the_cut_parts_is_dropped_and_the_next_moves_up():
    caption = "a red umbrella beside a xylophonist"
    everything = TOKENIZER(caption, return_offsets_mapping=True)["offset_mapping"]
    word = span(caption, "xylophonist")
    pieces = [i for i, (start, end) in enumerate(everything) if start >= word[0] and end > start]
    assert len(pieces) > 1, "the test needs a word of several pieces"
    spans = [[span(caption, "a xylophonist"), span(caption, "a red umbrella")]]
    for kept in range(2, len(everything)):  # [CLS], some pieces, [SEP]
        encoded = encode([caption], max_length=kept)
        found = align_phrases(encoded["offset_mapping"], spans, 2)
        expected = [source for source in (0, 1) if _last_piece(everything, spans[0][source]) <= kept - 2]
        assert found.source[0, : len(expected)].tolist() == expected, kept
        assert found.mask[0].sum() == len(expected)
    assert align_phrases(encode([caption])["offset_mapping"], spans, 2).mask.all()


def _last_piece(offsets, bounds):
    return max(i for i, (start, end) in enumerate(offsets) if start < bounds[1] and end > bounds[0])


def test_slots_are_as_many_as_asked_for():
    caption = "a cat, a dog, a cow"
    spans = [[span(caption, "a cat"), span(caption, "a dog"), span(caption, "a cow")]]
    offsets = encode([caption])["offset_mapping"]
    assert align_phrases(offsets, spans, 2).source.tolist() == [[0, 1]]
    assert align_phrases(offsets, spans, 5).source.tolist() == [[0, 1, 2, -1, -1]]
    nothing = align_phrases(offsets, [[]], 3)
    assert not nothing.mask.any()
    assert not nothing.tokens.any()


def test_captions_without_tokens_and_phrases_without_tokens():
    found = align_phrases(encode(["", "\u200b\u200b cat"])["offset_mapping"], [[(0, 0)], [(0, 2), (3, 6)]], 2)
    assert found.mask.tolist() == [[False, False], [True, False]]
    assert found.source[1].tolist() == [1, -1]


def test_padding_to_a_fixed_length_changes_nothing():
    caption = "a large red umbrella"
    offsets = TOKENIZER(
        [caption], padding="max_length", max_length=20, return_offsets_mapping=True, return_tensors="pt"
    )["offset_mapping"]
    found = align_phrases(offsets, [[(0, len(caption))]], 1)
    assert found.tokens[0, 0].nonzero().flatten().tolist() == [
        i for i, (start, end) in enumerate(offsets[0].tolist()) if end > start
    ]


def test_unequal_batches_are_refused():
    with pytest.raises(ValueError, match="2 captions with spans, 1 with tokens"):
        align_phrases(encode(["a cat"])["offset_mapping"], [[], []], 1)


@settings(deadline=None, max_examples=60)
@given(
    st.text("ab é漢🙂-.", max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6),
    st.integers(3, 12),
)
def test_kept_phrases_are_covered_to_their_last_letter(caption, raw, max_length):
    spans = [(min(a, b), max(a, b)) for a, b in raw if a != b and max(a, b) <= len(caption)]
    offsets = encode([caption], max_length)["offset_mapping"]
    found = align_phrases(offsets, [spans], 6)
    whole = TOKENIZER(caption, return_offsets_mapping=True)["offset_mapping"]
    for slot in range(int(found.mask.sum())):
        start, end = spans[int(found.source[0, slot])]
        inside = [i for i, (a, b) in enumerate(whole) if a < end and b > start]
        assert torch.where(found.tokens[0, slot])[0].tolist() == inside
