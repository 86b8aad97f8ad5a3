"""The contrastive loss with soft targets: equal to the plain one where nothing is soft, else to a loop."""

import math

import torch
from torch.nn import functional as F

from pretrain.objectives.contrastive import contrastive_loss
from pretrain.objectives.momentum_contrast import momentum_contrast_loss

SCALE = torch.tensor([math.log(5.0)])


def unit(rows: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_without_softness_and_queue_it_is_the_plain_loss():
    images, texts = unit(5, 0), unit(5, 1)
    there = torch.ones(5, dtype=torch.bool)
    own = (images, texts)
    found = momentum_contrast_loss(images, texts, own, own, there, SCALE, 0.0)
    expected = contrastive_loss(images, texts, SCALE)
    torch.testing.assert_close(found["itc_loss"], expected["contrastive_loss"])
    torch.testing.assert_close(found["itc_accuracy"], expected["contrastive_accuracy"])


def test_soft_targets_and_the_queue_by_a_loop():
    images, texts, of_images, of_texts = (unit(3, seed) for seed in range(4))
    all_images, all_texts = (torch.cat([own, unit(4, seed)]) for own, seed in ((of_images, 8), (of_texts, 9)))
    there = torch.tensor([True, True, True, True, False, True, False])
    soft = 0.3
    found = momentum_contrast_loss(
        images, texts, (of_images, of_texts), (all_images, all_texts), there, SCALE, soft
    )
    total = 0.0
    for own, teacher, candidates in ((images, of_images, all_texts), (texts, of_texts, all_images)):
        for row in range(3):
            columns = [column for column in range(7) if there[column]]
            logits = [5.0 * float(own[row] @ candidates[column]) for column in columns]
            taught = [5.0 * float(teacher[row] @ candidates[column]) for column in columns]
            log_total, sum_taught = math.log(sum(map(math.exp, logits))), sum(map(math.exp, taught))
            for column, logit, one in zip(columns, logits, taught, strict=True):
                target = soft * math.exp(one) / sum_taught + (1 - soft) * (column == row)
                total -= target * (logit - log_total)
    assert math.isclose(float(found["itc_loss"]), total / 6, rel_tol=1e-5)


def test_gradients_are_finite_beside_empty_places():
    images = unit(3, 0).requires_grad_()
    others = (torch.cat([unit(3, 1), unit(2, 2)]), torch.cat([unit(3, 3), unit(2, 4)]))
    there = torch.tensor([True] * 3 + [False] * 2)
    loss = momentum_contrast_loss(images, unit(3, 5), (unit(3, 6), unit(3, 7)), others, there, SCALE, 0.5)
    loss["itc_loss"].backward()
    assert torch.isfinite(images.grad).all()
    assert images.grad.abs().sum() > 0
