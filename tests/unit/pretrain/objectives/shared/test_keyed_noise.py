"""Gumbel noise of keys: its distribution, its draws, and that nothing but seed and keys decides it."""

import numpy as np
import pytest
import torch
from scipy import stats

from pretrain.objectives.shared.keyed_noise import keyed_gumbel


def keys(count: int, start: int = 0) -> torch.Tensor:
    """Neighbouring numbers: the keys that a weak mixing would confuse first."""
    return torch.arange(start, start + count, dtype=torch.int64)


def test_the_noise_is_standard_gumbel():
    noise = keyed_gumbel(3, keys(300), keys(400, 1000)).numpy()
    assert noise.dtype == np.float64
    assert np.isfinite(noise).all()
    assert noise.mean() == pytest.approx(np.euler_gamma, abs=0.015)  # 4 deviations of the mean
    assert noise.var() == pytest.approx(np.pi**2 / 6, abs=0.035)
    assert stats.kstest(noise.ravel(), "gumbel_r").pvalue > 1e-3
    for axis in (0, 1):  # no row and no column has a mean of its own
        spread = noise.mean(axis).std() * np.sqrt(noise.shape[axis])
        assert spread == pytest.approx(np.pi / np.sqrt(6), rel=0.15)


def test_seed_and_both_keys_decide_the_noise():
    noise = keyed_gumbel(3, keys(20), keys(30))
    assert torch.equal(noise, keyed_gumbel(3, keys(20), keys(30)))
    assert len(noise.unique()) == noise.numel()
    for other in (
        keyed_gumbel(4, keys(20), keys(30)),
        keyed_gumbel(3, keys(20, 1), keys(30)),
        keyed_gumbel(3, keys(20), keys(30, 1)),
    ):
        assert (noise == other).sum() == 0
        assert abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.15
    square = keyed_gumbel(3, keys(20), keys(20))
    assert (square == square.T).sum() == 20  # (a, b) is another pair than (b, a)


def test_a_value_does_not_depend_on_its_place_nor_on_the_other_keys():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(-(2**63), 2**63 - 1, (7,), generator=generator)
    columns = torch.randint(-(2**63), 2**63 - 1, (11,), generator=generator)
    whole = keyed_gumbel(2**62 - 1, rows, columns)
    order, other = torch.randperm(7, generator=generator), torch.randperm(11, generator=generator)
    assert torch.equal(keyed_gumbel(2**62 - 1, rows[order], columns[other]), whole[order][:, other])
    assert torch.equal(keyed_gumbel(2**62 - 1, rows[2:3], columns[4:6]), whole[2:3, 4:6])


def test_the_argmax_draws_from_the_softmax():
    logits = torch.tensor([2.0, 0.0, 1.0, -3.0, 2.0], dtype=torch.float64)
    draws = (logits + keyed_gumbel(11, keys(20_000), keys(5, 77))).argmax(1)
    expected = logits.softmax(0).numpy() * 20_000
    assert stats.chisquare(np.bincount(draws, minlength=5), expected).pvalue > 1e-3
