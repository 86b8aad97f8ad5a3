"""Estimates of a pilot: by hand, against tables, and by drawing many pilots of a corpus whose shards differ."""

import math

import numpy as np
import pytest

from pipelines.curate.cost import WRITE, Cost
from pipelines.curate.estimate import estimate, ratio, ratio_total, t_975
from pipelines.curate.pilot import PilotShard


@pytest.mark.parametrize(
    ("freedom", "value"),
    [
        (1, 12.706),
        (2, 4.303),
        (3, 3.182),
        (4, 2.776),
        (5, 2.571),
        (9, 2.262),
        (19, 2.093),
        (30, 2.042),
        (120, 1.980),
    ],
)
def test_quantiles_are_those_of_the_printed_table(freedom, value):
    assert t_975(freedom) == pytest.approx(value, abs=0.005)


def test_a_ratio_by_hand():
    """Values 1 and 3 of sizes 2 and 2: ratio 1; residuals -1 and 1, variance (1 - 2/4) · 2 / 1 / 2 / 2² = 1/8."""
    found = ratio([1, 3], [2, 2], 4)
    assert found.middle == 1
    assert found.high - 1 == pytest.approx(12.7062 * math.sqrt(1 / 8), rel=1e-4)
    assert ratio([1, 3], [2, 2], 2) == (1, 1, 1)
    assert ratio([1], [2], 4) == (0, 0.5, math.inf)
    assert ratio_total([1, 3], [2, 2], 4, 2) == (4, 4, 4)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """2,000 pilots of 20 of 300 shards, whose shares lie between 0.2 and 0.8; a binomial one does not."""
    draw = np.random.default_rng(7)
    pairs = draw.integers(500, 1500, 300)
    kept = draw.binomial(pairs, draw.uniform(0.2, 0.8, 300))
    sizes = (pairs * draw.uniform(900, 1100, 300)).astype(int)
    shards = [
        PilotShard(*one, 0.0) for one in zip(sizes.tolist(), pairs.tolist(), kept.tolist(), strict=True)
    ]
    truth, share = kept.sum(), kept.sum() / pairs.sum()
    covered = np.zeros((2000, 3), bool)
    for trial in range(2000):
        pilot = [shards[place] for place in draw.choice(300, 20, replace=False)]
        found = estimate(pilot, sizes.tolist(), [], has_corpus_rules=False)
        seen, stay = sum(one.pairs for one in pilot), sum(one.kept for one in pilot)
        of_pairs = 1.96 * math.sqrt(stay / seen * (1 - stay / seen) / seen)
        covered[trial] = (
            found.kept.low <= truth <= found.kept.high,
            found.share.low <= share <= found.share.high,
            abs(stay / seen - share) <= of_pairs,
        )
    of_kept, of_share, of_binomial = covered.mean(axis=0)
    assert 0.92 < of_kept < 0.975
    assert 0.92 < of_share < 0.975
    assert of_binomial < 0.5


def test_all_shards_give_what_was_counted():
    shards = [PilotShard(100, 10, 4, 40.0), PilotShard(300, 20, 16, 60.0)]
    found = estimate(
        shards, [100, 300], [Cost("facts", 30, 3.0), Cost(WRITE, 20, 1.0)], has_corpus_rules=True
    )
    assert (found.kept, found.bytes, found.pairs) == ((20, 20, 20), (100, 100, 100), (30, 30, 30))
    assert found.share == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (found.is_exact, found.core_seconds, found.notes) == (True, 4.0, ())


def test_costs_grow_with_the_pairs_they_were_spent_on_and_duplicates_are_said_to_be_too_few():
    """Half of the bytes were seen: twice the seconds."""
    shards = [PilotShard(100, 10, 4, 40.0), PilotShard(100, 10, 6, 60.0)]
    costs = [Cost("facts", 20, 3.0), Cost(WRITE, 10, 1.0)]
    found = estimate(shards, [100] * 4, costs, has_corpus_rules=True)
    assert found.core_seconds == pytest.approx(8.0)
    assert found.kept.middle == pytest.approx(20)
    assert found.kept.low >= 10  # those were counted
    assert "duplicates are underestimated" in found.notes[0]
    assert estimate(shards, [100] * 4, costs, has_corpus_rules=False).notes == ()


def test_shards_without_a_pair():
    found = estimate(
        [PilotShard(100, 0, 0, 0.0)] * 2, [100] * 4, [Cost("facts", 0, 1.0)], has_corpus_rules=False
    )
    assert (found.kept, found.share, found.core_seconds) == ((0, 0, 0), (0, 0, 0), None)
    assert any("0.0%" in line for line in found.lines())
