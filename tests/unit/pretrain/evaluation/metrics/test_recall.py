import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.evaluation.metrics.recall import TIE, ranks, recall


def brute_force(queries, gallery, query_owner, gallery_owner):
    """One query at a time, one candidate at a time, by sorting: wrong before right among equals."""
    places = []
    for query, owner in zip(queries, query_owner, strict=True):
        scored = []
        for candidate, other in zip(gallery, gallery_owner, strict=True):
            score = sum(float(a) * float(b) for a, b in zip(query, candidate, strict=True))
            scored.append((-score, other == owner))  # False sorts before True: a tie is lost
        scored.sort()
        places.append(next(place for place, (_, right) in enumerate(scored) if right))
    return places


# Halves are exact in fp32, and few values make many ties.
vectors = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=3, max_size=3)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_agrees_with_brute_force_ties_included(data):
    owners = data.draw(st.integers(1, 6))
    images = data.draw(st.lists(vectors, min_size=owners, max_size=owners))
    extra = data.draw(st.lists(st.integers(0, owners - 1), max_size=8))
    text_owner = [*range(owners), *extra]
    texts = data.draw(st.lists(vectors, min_size=len(text_owner), max_size=len(text_owner)))
    chunk = data.draw(st.integers(1, 5))
    for queries, gallery, own, other in [
        (images, texts, list(range(owners)), text_owner),
        (texts, images, text_owner, list(range(owners))),
    ]:
        result = ranks(
            torch.tensor(queries), torch.tensor(gallery), torch.tensor(own), torch.tensor(other), chunk=chunk
        )
        assert result.tolist() == brute_force(queries, gallery, own, other)


def test_agrees_with_brute_force_on_random_embeddings():
    generator = np.random.default_rng(0)
    images, texts = generator.normal(size=(40, 8)), generator.normal(size=(90, 8))
    owner = np.concatenate([np.arange(40), generator.integers(0, 40, 50)])
    tensors = [torch.tensor(array, dtype=torch.float32) for array in (images, texts)]
    result = ranks(tensors[0], tensors[1], torch.arange(40), torch.tensor(owner), chunk=7)
    assert result.tolist() == brute_force(images, texts, range(40), owner)


def test_a_collapsed_model_recalls_nothing():
    same = torch.nn.functional.normalize(torch.ones(20, 4), dim=-1)
    places = ranks(same, same, torch.arange(20), torch.arange(20))
    assert recall(places)["R@1"] == recall(places)["R@10"] == 0.0


def test_scores_that_differ_by_rounding_alone_are_tied():
    query = torch.tensor([[1.0, 0.0]])
    gallery = torch.tensor([[0.5, 0.0], [0.5 - TIE / 4, 0.0], [0.5 - 1e-4, 0.0]])
    assert ranks(query, gallery, torch.tensor([0]), torch.tensor([0, 1, 2])).tolist() == [1]


def test_recall_counts_the_places_below_each_level():
    assert recall(torch.tensor([0, 0, 1, 4, 5, 9, 10, 99])) == {
        "R@1": pytest.approx(2 / 8),
        "R@5": pytest.approx(4 / 8),
        "R@10": pytest.approx(6 / 8),
    }
