"""The loss against one written with loops over images and phrases."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from pretrain.objectives.phrase_contrast import PhraseTexts, phrase_contrast_loss

LOGIT_SCALE = torch.tensor([1.5])


def drawn(seed: int, pairs: int = 5, each: int = 2) -> tuple[torch.Tensor, PhraseTexts]:
    """Places of 5 images, and two phrases of each: some images have one or none, and some phrases come twice."""
    generator = torch.Generator().manual_seed(seed)

    def unit(*shape: int) -> torch.Tensor:
        return F.normalize(torch.randn(*shape, 4, generator=generator), dim=-1)

    mentioned = torch.tensor([[7, 8, 9], [7, 3, 0], [4, 0, 0], [0, 0, 0], [9, 5, 6]])
    names = torch.tensor([[7, 9], [3, 7], [4, 0], [0, 0], [5, 6]])
    return unit(pairs, 3), PhraseTexts(unit(pairs, each), names > 0, bits(names), bits(mentioned))


def bits(names: torch.Tensor) -> torch.Tensor:
    """A phrase of a single token: one bit in each half."""
    return torch.stack(
        [torch.where(names > 0, 1 << names, 0), torch.where(names > 0, 1 << (9 - names), 0)], -1
    )


def by_loops(places: torch.Tensor, phrases: PhraseTexts) -> tuple[float, float]:
    def score(image: int, owner: int, phrase: int) -> float:
        best = max(float(place @ phrases.texts[owner, phrase]) for place in places[image])
        return math.exp(float(LOGIT_SCALE)) * best

    def says(image: int, owner: int, phrase: int) -> bool:
        halves = phrases.content[owner, phrase].tolist()
        return any(
            all(a & b == a for a, b in zip(halves, its, strict=True))
            for its in phrases.mentioned[image].tolist()
        )

    losses, first = [], []
    for owner, row in enumerate(phrases.real.tolist()):
        for phrase, real in enumerate(row):
            if not real:
                continue
            own = score(owner, owner, phrase)
            images = [
                score(image, owner, phrase)
                for image in range(len(places))
                if image != owner and not says(image, owner, phrase)
            ]
            others = [
                score(owner, other, number)
                for other, of_other in enumerate(phrases.real.tolist())
                for number, its in enumerate(of_other)
                if its and other != owner and not says(owner, other, number)
            ]
            for negatives in (images, others):
                losses.append(-own + math.log(sum(math.exp(value) for value in [own, *negatives])))
                first.append(all(own >= value for value in negatives))
    return sum(losses) / len(losses), sum(first) / len(first)


@pytest.mark.parametrize("seed", range(4))
def test_a_phrase_and_an_image_find_each_other_among_those_that_do_not_match(seed: int) -> None:
    places, phrases = drawn(seed)
    values = phrase_contrast_loss(places, phrases, LOGIT_SCALE)
    loss, accuracy = by_loops(places, phrases)
    assert float(values["phrase_contrast_loss"]) == pytest.approx(loss, abs=1e-5)
    assert float(values["phrase_contrast_accuracy"]) == pytest.approx(accuracy)


def test_an_image_with_a_longer_phrase_is_no_negative_of_a_part_of_it() -> None:
    places, phrases = drawn(3)
    both = phrases.content[0, 0] | phrases.content[4, 0]
    mentioned = phrases.mentioned.clone()
    mentioned[4, 1] = both
    masked = replace(phrases, mentioned=mentioned)
    loss = phrase_contrast_loss(places, masked, LOGIT_SCALE)["phrase_contrast_loss"]
    assert float(loss) == pytest.approx(by_loops(places, masked)[0], abs=1e-5)
    assert float(loss) < float(phrase_contrast_loss(places, phrases, LOGIT_SCALE)["phrase_contrast_loss"])


def test_only_the_best_place_of_each_pair_has_a_gradient() -> None:
    places, phrases = drawn(1)
    places.requires_grad_()
    phrase_contrast_loss(places, phrases, LOGIT_SCALE)["phrase_contrast_loss"].backward()
    best = torch.einsum("brd,kd->brk", places, phrases.texts[phrases.real]).argmax(1)
    chosen = F.one_hot(best, places.shape[1]).any(1)
    assert (places.grad.abs().sum(-1) > 0)[chosen].float().mean() > 0.5
    assert not places.grad[~chosen].any()


def test_without_a_phrase_the_loss_is_zero_and_has_no_gradient() -> None:
    places, phrases = drawn(2)
    nothing = PhraseTexts(
        phrases.texts,
        torch.zeros_like(phrases.real),
        torch.zeros_like(phrases.content),
        torch.zeros_like(phrases.mentioned),
    )
    places.requires_grad_()
    loss = phrase_contrast_loss(places, nothing, LOGIT_SCALE)["phrase_contrast_loss"]
    loss.backward()
    assert float(loss) == 0
    assert not places.grad.any()
