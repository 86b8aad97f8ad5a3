import numpy as np
import pytest
import torch

from pretrain.evaluation.localisation import CALIBRATIONS
from pretrain.evaluation.localisation.calibration import by_evidence


def test_calibrations_know_the_names_own_bias():
    similar = torch.tensor([[0.5, 0.3], [0.2, 0.3]])
    nothing = torch.tensor([[0.4, 0.1]])
    assert CALIBRATIONS["cosine"](similar, nothing, 0.1)[0].tolist() == pytest.approx([0.75, 0.65])
    plain, fair = (CALIBRATIONS[name](similar, nothing, 0.1) for name in ("softmax", "prior"))
    assert plain[0].argmax() == 0
    assert fair[0].argmax() == 1  # it gains 0.2 over the empty image, the other 0.1
    e = np.exp([1.0, 2.0])
    assert fair[0].tolist() == pytest.approx((e / e.sum()).tolist())


def test_evidence_is_the_class_in_the_box_times_what_the_box_adds_for_its_best_prompt():
    cosines = torch.tensor([[0.5, 0.3], [0.5, 0.3]])
    added = torch.tensor([[[0.1, 0.4], [0.2, 0.1]], [[-0.1, -0.2], [0.0, 0.3]]])
    found = by_evidence(cosines, added, 0.1)
    first = 1 / (1 + np.exp(-2.0))
    assert found[0].tolist() == pytest.approx([first * 0.4, (1 - first) * 0.2])
    assert found[1].tolist() == pytest.approx([0.0, (1 - first) * 0.3])
