"""The interval of a ratio of paired rates, against scipy's t-test of the logarithms."""

import numpy as np
import pytest
from paired_ratio import MOST_PAIRS, T95, paired_ratio
from scipy import stats


@pytest.mark.parametrize("pairs", range(2, MOST_PAIRS + 1))
def test_interval_is_that_of_scipys_paired_t_test(pairs: int) -> None:
    random = np.random.default_rng(pairs)
    above, below = random.uniform(1, 9, pairs), random.uniform(1, 9, pairs)
    found = paired_ratio(above.tolist(), below.tolist())
    test = stats.ttest_rel(np.log(above), np.log(below))
    low, high = test.confidence_interval(0.95)
    assert found == pytest.approx((stats.gmean(above / below), np.exp(low), np.exp(high)), rel=1e-4)


def test_quantiles_are_those_of_students_t() -> None:
    assert pytest.approx(stats.t.ppf(0.975, range(1, len(T95) + 1)), abs=1e-4) == T95


def test_a_machine_that_slows_both_sides_leaves_the_ratio() -> None:
    speeds = (1.0, 0.4, 2.0, 0.7)
    found = paired_ratio([30 * speed for speed in speeds], [20 * speed for speed in speeds])
    assert found == pytest.approx((1.5, 1.5, 1.5))


@pytest.mark.parametrize(
    ("above", "below"),
    [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([1.0, 0.0], [1.0, 1.0]), ([1.0] * 11, [1.0] * 11)],
)
def test_other_than_pairs_of_rates_are_refused(above: list[float], below: list[float]) -> None:
    with pytest.raises(ValueError, match="allowed are 2 to 10 pairs"):
        paired_ratio(above, below)
