import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from pretrain.evaluation.metrics.logistic_regression import COARSE, fit, sweep


def clouds(count, seed, spread=1.5):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(4, 6, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(0, 4, (count,), generator=generator)
    return centres[labels] + spread * torch.randn(count, 6, generator=generator), labels


@pytest.mark.parametrize("strength", [0.001, 0.1, 10.0])
def test_fit_is_that_of_scikit_learn(strength):
    features, labels = clouds(200, 0)
    probe = fit(features, labels, 4, strength)
    judge = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000).fit(
        features.double().numpy(), labels.numpy()
    )
    np.testing.assert_allclose(
        probe(features).softmax(1), judge.predict_proba(features.double().numpy()), atol=2e-4
    )
    np.testing.assert_allclose(probe.weights.T, judge.coef_, atol=2e-3 * max(1, np.abs(judge.coef_).max()))


def test_sweep_finds_a_strength_as_good_as_a_dense_search():
    train, validation = clouds(40, 1, 2.5), clouds(300, 2, 2.5)

    def accuracy(strength):
        judge = LogisticRegression(C=strength, max_iter=10_000).fit(
            train[0].double().numpy(), train[1].numpy()
        )
        return judge.score(validation[0].double().numpy(), validation[1].numpy())

    strength, found = sweep(train, validation, 4, max_iterations=300)
    assert found == pytest.approx(accuracy(strength), abs=0.005)
    dense = max(accuracy(10**power) for power in np.arange(-4, 4.5, 0.5))
    assert found >= dense - 0.01
    assert found > accuracy(1e6) + 0.005  # there is something to choose
    assert 10 ** COARSE[0] <= strength <= 10 ** COARSE[-1]
