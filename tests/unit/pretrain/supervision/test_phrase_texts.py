"""Which phrases are drawn, and what they are told apart by."""

from __future__ import annotations

from collections import Counter

import torch

from pretrain.data.samples.batch import Batch
from pretrain.supervision.phrase_texts import drawn_phrases, token_hashes


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


def test_hashes_differ_where_the_tokens_do_and_padding_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 6, (4000, 1, 6), generator=generator)
    length = torch.randint(1, 7, (4000, 1, 1), generator=generator)
    mask = (torch.arange(6) < length).long()
    hashes = token_hashes(ids, mask).flatten().tolist()
    texts = [tuple(row[:n]) for row, n in zip(ids[:, 0].tolist(), length.flatten().tolist(), strict=True)]
    assert len(set(zip(hashes, texts, strict=True))) == len(set(hashes)) == len(set(texts))
    assert 0 not in hashes
