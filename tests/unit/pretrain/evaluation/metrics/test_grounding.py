import numpy as np
import pytest

from pretrain.evaluation.metrics.grounding import GroundingScores


def test_a_case_by_hand():
    """Two expressions of one image with two objects, one of another image; IoUs 1, 1/3 and 0.4."""
    scores = GroundingScores()
    assert len(scores) == 0
    objects = np.array([[0.0, 0, 10, 10], [20, 0, 10, 10]])
    boxes = np.array([[0.0, 0, 10, 10], [25, 0, 10, 10]])
    scores.add(boxes, objects, ["name", "full"], np.array([0.9, 0.4]), np.array([0.1, 0.3]), objects)
    truth = np.array([[0.0, 0, 10, 10]])
    scores.add(np.array([[0.0, 0, 10, 4]]), truth, [None], np.array([0.5]), np.array([0.2]), truth)
    assert len(scores) == 3
    found = scores.summary()
    assert found == {
        "accuracy@0.5": pytest.approx(1 / 3),
        "accuracy@0.3": pytest.approx(1),
        "centre_inside": pytest.approx(1),  # (30, 5) lies on the edge of the second object
        "mean_iou": pytest.approx((1 + 1 / 3 + 0.4) / 3),
        "per_kind": {"full": 0.0, "name": 1.0},
        "grid_bound": pytest.approx(2 / 3),
        "chance": pytest.approx(0.2),
        "chance_object": pytest.approx((1 / 2 + 1 / 2 + 1) / 3),
        "text_blind": pytest.approx((1 / 2 + 0 + 0) / 3),
        "count": 3,
        "images": 2,
    }
