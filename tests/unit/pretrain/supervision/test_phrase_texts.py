"""Which phrases are drawn, and what they are told apart by."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import torch
from torch.nn import functional as F

from pretrain.data.samples.batch import Batch
from pretrain.supervision.phrase_texts import contents, drawn_phrases, shortened


def batch(masks: list[list[int]], keys: list[str]) -> Batch:
    rows, slots = len(masks), len(masks[0])
    return Batch(
        keys=keys,
        pixel_values=torch.zeros(rows, 3, 2, 2),
        input_ids=torch.zeros(rows, 5, dtype=torch.long),
        attention_mask=torch.ones(rows, 5, dtype=torch.long),
        phrase_tokens=torch.zeros(rows, slots, 5, dtype=torch.bool),
        phrase_mask=torch.tensor(masks).bool(),
    )


def test_phrases_are_drawn_evenly_and_by_step_and_key_alone() -> None:
    pairs = batch([[1, 1, 1, 0], [1, 0, 1, 0], [0, 0, 0, 0]], ["a", "b", "c"])
    swapped = batch([[1, 0, 1, 0], [1, 1, 1, 0]], ["b", "a"])
    counts: tuple[Counter[int], ...] = (Counter(), Counter(), Counter())
    for seed in range(600):
        drawn = drawn_phrases(pairs, 1, seed)
        assert drawn_phrases(swapped, 1, seed).tolist() == drawn[[1, 0]].tolist()
        for row, (slot,) in enumerate(drawn.tolist()):
            counts[row][slot] += 1
    assert set(counts[0]) == {0, 1, 2}
    assert min(counts[0].values()) > 150
    assert set(counts[1]) == {0, 2}
    assert min(counts[1].values()) > 250


def test_real_phrases_are_drawn_before_empty_slots_and_none_twice() -> None:
    pairs = batch([[1, 0, 1, 0]], ["a"])
    for seed in range(20):
        drawn = drawn_phrases(pairs, 3, seed)[0].tolist()
        assert set(drawn[:2]) == {0, 2}
        assert len(set(drawn)) == 3
    assert drawn_phrases(pairs, 9, 0).shape == (1, 4)


def test_one_phrase_has_all_tokens_of_another_where_its_bits_are_in_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 3000, (400, 10), generator=generator)
    first = torch.zeros(400, 1, 10, dtype=torch.bool)
    first[:, :, :5] = True
    fewer = first & (torch.rand(400, 1, 10, generator=generator) < 0.6)
    other = torch.zeros_like(first)
    other[:, :, 4:9] = True  # four of five tokens are others
    one_other = first.clone()
    one_other[:, :, 4] = False
    one_other[:, :, 5] = True
    whole, part, strange, close = (contents(ids, tokens) for tokens in (first, fewer, other, one_other))
    assert ((part & ~whole) == 0).all()
    assert not ((strange & ~whole) == 0).all(-1).any()
    assert ((close & ~whole) == 0).all(-1).float().mean() < 0.02
    assert not contents(ids, torch.zeros_like(first)).any()


def worded() -> Batch:
    """Two captions of seven tokens; in the second, the phrase's last word has two tokens."""
    starts = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 1]]).bool()
    tokens = torch.zeros(2, 1, 7, dtype=torch.bool)
    tokens[:, 0, 1:6] = True
    tokens[1, 0, 1] = False
    return Batch(
        keys=["a", "b"],
        pixel_values=torch.zeros(2, 3, 2, 2),
        input_ids=torch.arange(14).view(2, 7),
        attention_mask=torch.ones(2, 7, dtype=torch.long),
        phrase_tokens=tokens,
        phrase_mask=torch.ones(2, 1, dtype=torch.bool),
        word_starts=starts,
    )


def test_shortened_phrases_keep_whole_words_each_number_and_each_word_equally_often() -> None:
    batch = worded()
    lengths: tuple[Counter[int], ...] = (Counter(), Counter())
    held = torch.zeros(2, 7)
    for seed in range(1200):
        short = shortened(batch, batch.phrase_tokens, 1.0, seed)
        assert not (short & ~batch.phrase_tokens).any()
        assert bool(short[1, 0, 4]) == bool(short[1, 0, 5])  # one word
        for row in range(2):
            lengths[row][int((short[row, 0] & batch.word_starts[row]).sum())] += 1
        held += short[:, 0]
    assert set(lengths[0]) == {1, 2, 3, 4}
    assert set(lengths[1]) == {1, 2}
    assert min(min(counts.values()) for counts in lengths) > 240
    assert held[0, 1:6].min() > 520  # half of the words on average
    assert held[1, [2, 3, 4]].min() > 520


def test_draws_do_not_depend_on_how_far_the_batch_is_padded() -> None:
    batch = worded()
    longer = replace(
        batch,
        input_ids=F.pad(batch.input_ids, (0, 3)),
        attention_mask=F.pad(batch.attention_mask, (0, 3)),
        phrase_tokens=F.pad(batch.phrase_tokens, (0, 3)),
        word_starts=F.pad(batch.word_starts, (0, 3)),
    )
    for seed in range(20):
        short, padded = (shortened(of, of.phrase_tokens, 0.7, seed) for of in (batch, longer))
        assert padded[..., :7].equal(short)
        assert not padded[..., 7:].any()


def test_a_share_of_the_phrases_is_shortened_and_none_without_it() -> None:
    batch = worded()
    assert shortened(batch, batch.phrase_tokens, 0.0, 1).equal(batch.phrase_tokens)
    whole = [
        shortened(batch, batch.phrase_tokens, 0.3, s)[0].equal(batch.phrase_tokens[0]) for s in range(500)
    ]
    assert 0.62 < sum(whole) / 500 < 0.78
