import numpy as np
import pytest
import torch

from pretrain.evaluation.localisation import CALIBRATIONS


def test_calibrations_know_the_names_own_bias():
    similar = torch.tensor([[0.5, 0.3], [0.2, 0.3]])
    nothing = torch.tensor([[0.4, 0.1]])
    assert CALIBRATIONS["cosine"](similar, nothing, 0.1)[0].tolist() == pytest.approx([0.75, 0.65])
    plain, fair = (CALIBRATIONS[name](similar, nothing, 0.1) for name in ("softmax", "prior"))
    assert plain[0].argmax() == 0
    assert fair[0].argmax() == 1  # it gains 0.2 over the empty image, the other 0.1
    e = np.exp([1.0, 2.0])
    assert fair[0].tolist() == pytest.approx((e / e.sum()).tolist())
