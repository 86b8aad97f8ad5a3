"""The distillation losses against loops and hand-computed cases."""

import math

import pytest
import torch
from torch.nn import functional as F

from pretrain.objectives.phrase_attribution import Distillation, generalised_iou, phrase_attribution_loss

OPTIONS = {"box_weight": 1.0, "alignment_weight": 1.0, "temperature": 0.1, "positives": "cells"}


def distillation(**changes) -> Distillation:
    """One image, two phrases, four cells: phrase 0 owns cells 0 and 1, phrase 1 owns cell 3."""
    cells = torch.tensor([[[True, True, False, False], [False, False, False, True]]])
    fields = {
        "cells": cells,
        "attributions": torch.tensor([[[0.4, 0.2, -0.1, 0.0], [0.0, 0.1, 0.0, 0.5]]]),
        "boxes": torch.tensor([[[0.5, 0.25, 1.0, 0.5], [0.75, 0.75, 0.5, 0.5]]]),
        "trusted": torch.tensor([[True, True]]),
        "student_boxes": torch.tensor(
            [[[0.5, 0.25, 1.0, 0.5]] * 2 + [[0.1, 0.1, 0.1, 0.1], [0.75, 0.75, 0.5, 0.5]]]
        ),
        "student_logits": torch.tensor([[9.0, 9.0, -9.0, 9.0]]),
        "patches": F.normalize(torch.eye(4)[None], dim=-1),
        "phrases": F.normalize(torch.tensor([[[2.0, 1.0, 0, 0], [0, 0, 0, 1.0]]]), dim=-1),
        "grid": (2, 2),
    }
    return Distillation(**(fields | changes))


def test_a_student_that_agrees_has_no_confidence_or_box_loss():
    losses = phrase_attribution_loss(distillation(), **OPTIONS)
    assert losses["attribution_confidence_loss"].item() == pytest.approx(math.log1p(math.exp(-9)), rel=1e-2)
    assert losses["attribution_box_loss"].item() == pytest.approx(0, abs=1e-6)
    assert losses["attribution_box_iou"].item() == pytest.approx(1)


def test_alignment_is_infonce_of_objects_and_phrases():
    loss = phrase_attribution_loss(distillation(), **OPTIONS | {"temperature": 0.5})[
        "attribution_alignment_loss"
    ].item()
    objects = [[2 / 5**0.5, 1 / 5**0.5, 0, 0], [0, 0, 0, 1.0]]  # weighted by 0.4 and 0.2, then unit length
    phrases = [[2 / 5**0.5, 1 / 5**0.5, 0, 0], [0, 0, 0, 1.0]]
    score = [[sum(a * b for a, b in zip(x, y, strict=True)) / 0.5 for y in phrases] for x in objects]
    expected = (
        sum(math.log(sum(math.exp(score[i][j]) for j in range(2))) - score[i][i] for i in range(2)) / 2
    )  # symmetric, so both directions are the same
    assert loss == pytest.approx(expected, rel=1e-5)


def test_only_trusted_phrases_teach():
    first_trusted = distillation(trusted=torch.tensor([[True, False]]))
    logits = first_trusted.student_logits.clone().requires_grad_()
    boxes = first_trusted.student_boxes.clone().requires_grad_()
    with_gradients = distillation(trusted=first_trusted.trusted, student_logits=logits, student_boxes=boxes)
    phrase_attribution_loss(with_gradients, **OPTIONS)["phrase_attribution_loss"].backward()
    assert boxes.grad[0, 3].abs().sum() == 0
    assert logits.grad[0, 3] > 0  # cell 3 is in no trusted object: its confidence has to fall


def test_the_cell_of_the_centre_alone_learns_the_box():
    logits = torch.tensor([[-1.0, 0.5, 2.0, 9.0]], requires_grad=True)
    boxes = torch.full((1, 4, 4), 0.3, requires_grad=True)
    # The centre of phrase 0's box lies in cell 1; cell 0 belongs to the object but has no label.
    centred = torch.tensor([[[0.6, 0.25, 0.8, 0.5], [0.75, 0.75, 0.5, 0.5]]])
    losses = phrase_attribution_loss(
        distillation(student_logits=logits, student_boxes=boxes, boxes=centred),
        **OPTIONS | {"positives": "centre"},
    )
    expected = (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(2.0)) + math.log1p(math.exp(-9.0))) / 3
    assert losses["attribution_confidence_loss"].item() == pytest.approx(expected, rel=1e-5)
    losses["phrase_attribution_loss"].backward()
    assert logits.grad[0, 0] == 0
    assert boxes.grad[0].abs().sum(-1).gt(0).tolist() == [False, True, False, True]


def test_without_a_trusted_phrase_there_is_no_loss_and_no_nan():
    untrusted = distillation(
        trusted=torch.zeros(1, 2, dtype=torch.bool), patches=torch.eye(4)[None].requires_grad_()
    )
    loss = phrase_attribution_loss(untrusted, **OPTIONS)["phrase_attribution_loss"]
    loss.backward()
    assert loss.item() == 0
    assert untrusted.patches.grad.isfinite().all()


def test_generalised_iou_of_known_boxes():
    a = torch.tensor([[0.25, 0.5, 0.5, 1.0], [0.25, 0.5, 0.5, 1.0], [0.125, 0.5, 0.25, 1.0]])
    b = torch.tensor([[0.25, 0.5, 0.5, 1.0], [0.5, 0.5, 0.5, 1.0], [0.875, 0.5, 0.25, 1.0]])
    # equal boxes: 1; half overlapping: IoU 1/3, no empty area in the hull; apart: IoU 0 minus 1/2, the empty share
    torch.testing.assert_close(generalised_iou(a, b), torch.tensor([1.0, 1 / 3, -0.5]))
