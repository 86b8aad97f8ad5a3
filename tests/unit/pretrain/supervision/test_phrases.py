"""Phrases as means of their word tokens, and as texts of their own."""

import pytest
import torch
from small_tasks import PAIRS, six_pairs

from pretrain.data.samples.batch import Batch
from pretrain.supervision.phrases import phrase_embeddings, phrases_alone


@pytest.fixture
def batch() -> Batch:
    return six_pairs()


def test_phrase_embeddings_are_means_of_their_words(batch):
    words = torch.randn(PAIRS, 9, 16)
    embeddings = phrase_embeddings(words, batch.phrase_tokens)
    expected = (words[0, 1] + words[0, 2]) / 2
    torch.testing.assert_close(embeddings[0, 0], expected / expected.norm())
    torch.testing.assert_close(embeddings[1, 1], words[1, 4] / words[1, 4].norm())
    assert not embeddings[2].any()


def test_a_phrase_alone_is_framed_and_padded():
    ids = torch.tensor([[2, 11, 12, 13, 14, 3, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 0]])
    phrases = torch.zeros(1, 3, 7, dtype=torch.bool)
    phrases[0, 0, 2:4] = True
    phrases[0, 1, 1:5] = True
    texts, attention = phrases_alone(ids, mask, phrases, longest=5)
    assert texts[0].tolist() == [[2, 12, 13, 3, 0], [2, 11, 12, 13, 3], [2, 3, 0, 0, 0]]
    assert attention[0].tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]
