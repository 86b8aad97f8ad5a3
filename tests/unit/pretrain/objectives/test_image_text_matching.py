"""Image-text matching: which negatives are drawn, and the loss by a loop over pairs."""

import math
from dataclasses import fields

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from data_filters.matching import MATCH
from pretrain.objectives.image_text_matching import (
    Candidates,
    draw_negatives,
    gathered,
    matching_loss,
    same_pairs,
)

SCALE = torch.tensor([5.0])


def candidates(count: int, captions: list[int], images: list[int], length: int = 4) -> Candidates:
    """`count` pairs, whose captions and images are equal where the numbers are."""
    generator = torch.Generator().manual_seed(9)

    def rows(numbers: list[int]) -> torch.Tensor:
        table = torch.randn(max(numbers) + 1, 6, generator=generator)
        return F.normalize(table[numbers], dim=-1)

    ids = torch.tensor([[2, 10 + number, 30 + number % 3, 3][:length] for number in captions])
    keys = torch.randint(-(2**63), 2**63 - 1, (count,), generator=generator)
    return Candidates(rows(images), rows(captions), ids, torch.ones_like(ids), keys, torch.tensor(images))


def some(whole: Candidates, rows: list[int] | slice) -> Candidates:
    return Candidates(*(getattr(whole, field.name)[rows] for field in fields(whole)))


CAPTIONS = [0, 1, 2, 2, 3, 4, 0, 5, 2, 6]
IMAGES = [0, 1, 2, 3, 1, 4, 5, 6, 7, 4]


def test_no_false_negative_is_drawn_in_ten_thousand():
    whole = candidates(10, CAPTIONS, IMAGES)
    drawn = 0
    for seed in range(500):
        found = draw_negatives(whole, whole, SCALE, 7919 * seed)
        for row, (caption, image) in enumerate(
            zip(found.captions.tolist(), found.images.tolist(), strict=True)
        ):
            for other in (caption, image):
                assert other != row
                assert CAPTIONS[other] != CAPTIONS[row]
                assert IMAGES[other] != IMAGES[row]
                drawn += 1
    assert drawn == 10_000


@pytest.mark.parametrize("kind", ["captions", "images"])
def test_draws_follow_the_softmax_of_the_similarities_that_are_left(kind):
    whole = candidates(10, CAPTIONS, IMAGES)
    counts = np.zeros(10)
    for seed in range(4000):
        counts[int(getattr(draw_negatives(some(whole, [2]), whole, SCALE, 2 * seed), kind)[0])] += 1
    own, others = (whole.images[2], whole.texts) if kind == "captions" else (whole.texts[2], whole.images)
    weights = [
        0.0 if CAPTIONS[row] == 2 or row == 2 else math.exp(float(SCALE * (own @ others[row])))
        for row in range(10)
    ]
    left = np.array(weights) > 0
    assert counts[~left].sum() == 0
    assert stats.chisquare(counts[left], 4000 * np.array(weights)[left] / sum(weights)).pvalue > 1e-3


def test_draws_depend_neither_on_the_order_of_rows_nor_on_how_the_batch_is_split():
    whole = candidates(10, CAPTIONS, IMAGES)
    expected = draw_negatives(whole, whole, SCALE, 5)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    mixed = some(whole, order.tolist())
    found = draw_negatives(mixed, mixed, SCALE, 5)
    assert torch.equal(order[found.captions], expected.captions[order])
    assert torch.equal(order[found.images], expected.images[order])
    for rows in (slice(0, 5), slice(5, 10)):
        half = draw_negatives(some(whole, rows), whole, SCALE, 5)
        assert torch.equal(half.captions, expected.captions[rows])
        assert torch.equal(half.images, expected.images[rows])
    other = draw_negatives(whole, whole, SCALE, 6)
    assert not torch.equal(other.captions, expected.captions)


def test_captions_are_equal_by_their_tokens_whatever_fills_them_up():
    short = candidates(3, [0, 1, 0], [0, 1, 2])
    ids, mask = F.pad(short.input_ids, (0, 2), value=99), F.pad(short.attention_mask, (0, 2))
    longer = Candidates(short.images, short.texts, ids, mask, short.key_hashes, short.image_hashes)
    expected = [[True, False, True], [False, True, False], [True, False, True]]
    assert same_pairs(short, longer).tolist() == expected
    # A caption that begins as another is another.
    begun = longer.attention_mask.clone()
    begun[0, 3] = 0
    cut = Candidates(short.images, short.texts, ids, begun, short.key_hashes, short.image_hashes)
    assert same_pairs(short, cut)[2].tolist() == [False, False, True]


def test_one_rank_gathers_its_own_without_gradients():
    own = candidates(4, [0, 1, 2, 3], [0, 1, 2, 3])
    own.images.requires_grad_()
    found = gathered(own)
    assert not found.images.requires_grad
    assert torch.equal(found.input_ids, own.input_ids)


class Judge:
    """Logits of a bilinear form of the mean image token and the captions' tokens; counts its calls."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(2)
        self.words = torch.randn(50, 5, generator=generator, requires_grad=True)
        self.head = torch.randn(5, 2, generator=generator)
        self.rows: list[int] = []

    def __call__(self, tokens, input_ids, attention_mask):
        self.rows.append(len(tokens))
        text = (self.words[input_ids] * attention_mask[..., None]).sum(1)
        return (tokens.mean(1) * text) @ self.head


def by_hand(
    judge: Judge, tokens: torch.Tensor, own: Candidates, seed: int
) -> tuple[torch.Tensor, list[bool]]:
    """The loss and which rows are judged rightly, pair by pair."""
    drawn = draw_negatives(own, own, SCALE, seed)
    losses, right = [], []

    def ask(image: int, caption: int, answer: int) -> None:
        logits = judge(
            tokens[image : image + 1],
            own.input_ids[caption : caption + 1],
            own.attention_mask[caption : caption + 1],
        )[0]
        losses.append(logits.exp().sum().log() - logits[answer])
        right.append(bool(logits[answer] > logits[1 - answer]))

    for row in range(len(tokens)):
        ask(row, row, MATCH)
        for image, caption in ((row, int(drawn.captions[row])), (int(drawn.images[row]), row)):
            if min(image, caption) >= 0:
                ask(image, caption, 1 - MATCH)
    return torch.stack(losses).sum() / (3 * len(tokens)), right


@pytest.mark.parametrize("captions", [CAPTIONS, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]])
def test_the_loss_and_its_gradients_are_those_of_a_loop_over_pairs(captions):
    own = candidates(10, captions, IMAGES)
    tokens = torch.randn(10, 3, 5, generator=torch.Generator().manual_seed(4), requires_grad=True)
    judge = Judge()
    found = matching_loss(judge, tokens, own, SCALE, 12)
    assert judge.rows == [30]
    gradients = torch.autograd.grad(found["itm_loss"], [tokens, judge.words])
    expected, right = by_hand(judge, tokens, own, 12)
    assert found["itm_loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    for gradient, other in zip(gradients, torch.autograd.grad(expected, [tokens, judge.words]), strict=True):
        torch.testing.assert_close(gradient, other, atol=1e-6, rtol=1e-5)
    assert found["itm_accuracy"].item() == pytest.approx(sum(right) / len(right))
    assert found["itm_negatives"].item() == pytest.approx((len(right) - 10) / 20)


def test_where_nobody_has_a_negative_the_matched_pairs_alone_count():
    own = candidates(4, [0, 0, 0, 0], [0, 1, 2, 3])
    assert draw_negatives(own, own, SCALE, 1).captions.tolist() == [-1] * 4
    tokens = torch.randn(4, 3, 5, requires_grad=True)
    judge = Judge()
    found = matching_loss(judge, tokens, own, SCALE, 1)
    assert judge.rows == [12]  # the same number of grounded passes on every rank
    logits = judge(tokens, own.input_ids, own.attention_mask)
    expected = F.cross_entropy(logits, torch.full((4,), MATCH)) / 3
    assert found["itm_loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert found["itm_negatives"].item() == 0
    found["itm_loss"].backward()
    assert torch.isfinite(tokens.grad).all()
