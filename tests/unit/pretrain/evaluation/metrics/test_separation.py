"""Area under the ROC curve and average precision against all pairs one by one, and against scikit-learn."""

import numpy as np
import pytest

from pretrain.evaluation.metrics.separation import average_precision, preferred, roc_auc, threshold_keeping


def by_pairs(positives, negatives) -> float:
    wins = [1.0 if own > other else 0.5 if own == other else 0.0 for own in positives for other in negatives]
    return sum(wins) / len(wins)


def by_scan(positives, negatives) -> float:
    """The mean precision at each positive's score, by counting."""
    found = []
    for score in positives:
        true = sum(other >= score for other in positives)
        found.append(true / (true + sum(other >= score for other in negatives)))
    return sum(found) / len(found)


def scores(seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    positives, negatives = generator.normal(0.5, 1, 30 + seed), generator.normal(0, 1, 50 - seed)
    return (positives.round(), negatives.round()) if ties else (positives, negatives)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_both_are_what_counting_gives(seed, ties):
    positives, negatives = scores(seed, ties)
    assert roc_auc(positives, negatives) == pytest.approx(by_pairs(positives, negatives))
    assert average_precision(positives, negatives) == pytest.approx(by_scan(positives, negatives))


@pytest.mark.parametrize("ties", [False, True])
def test_both_are_those_of_scikit_learn(ties):
    metrics = pytest.importorskip("sklearn.metrics")
    positives, negatives = scores(7, ties)
    values = np.concatenate([positives, negatives])
    truth = np.arange(len(values)) < len(positives)
    assert roc_auc(positives, negatives) == pytest.approx(metrics.roc_auc_score(truth, values))
    assert average_precision(positives, negatives) == pytest.approx(
        metrics.average_precision_score(truth, values)
    )


@pytest.mark.parametrize(
    ("positives", "negatives", "auc", "precision"),
    [
        ([2.0, 3.0], [0.0, 1.0], 1.0, 1.0),
        ([0.0, 1.0], [2.0, 3.0], 0.0, (1 / 3 + 2 / 4) / 2),
        ([1.0, 1.0], [1.0, 1.0, 1.0, 1.0], 0.5, 1 / 3),
        ([0.5], [0.5], 0.5, 0.5),
    ],
)
def test_the_ends_and_all_equal_scores(positives, negatives, auc, precision):
    assert roc_auc(np.array(positives), np.array(negatives)) == auc
    assert average_precision(np.array(positives), np.array(negatives)) == pytest.approx(precision)


def test_the_threshold_is_the_highest_score_that_keeps_the_share():
    generator = np.random.default_rng(3)
    for count in (1, 7, 20, 100):
        values = generator.normal(size=count).round(1)
        for share in (0.01, 0.29, 0.5, 0.95, 1.0):
            threshold = threshold_keeping(values, share)
            kept = [candidate for candidate in values if (values >= candidate).sum() >= share * count - 1e-9]
            assert threshold == max(kept)
    assert threshold_keeping(np.arange(10.0), 0.7) == 3.0  # 0.7 × 10 is a little above 7 in binary


def test_a_pair_prefers_its_positive_and_a_tie_is_half():
    positives, negatives = np.array([1.0, 0.2, 0.5, 3.0]), np.array([0.5, 0.3, 0.5, 1.0])
    assert preferred(positives, negatives) == (1 + 0 + 0.5 + 1) / 4
