"""The maximum of tokens against numbers worked out by hand."""

from __future__ import annotations

import torch

from pretrain.models.max_pooling import max_pooled


def test_words_count_and_nothing_else_unless_there_is_none() -> None:
    words = torch.tensor([[[9.0, 0.0], [3.0, 4.0], [9.0, 9.0]], [[0.0, 2.0], [1.0, 0.0], [0.0, 0.0]]])
    real = torch.tensor([[False, True, False], [False, False, False]])
    pooled = max_pooled(words, real)
    assert torch.allclose(pooled, torch.tensor([[0.6, 0.8], [1 / 5**0.5, 2 / 5**0.5]]))


def test_without_a_mask_all_tokens_count() -> None:
    tokens = torch.tensor([[[3.0, -9.0], [-1.0, 4.0]]])
    assert torch.allclose(max_pooled(tokens), torch.tensor([[0.6, 0.8]]))
