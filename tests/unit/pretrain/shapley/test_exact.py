"""Semantic interactions against full enumeration and against shapiq."""

import time

import numpy as np
import pytest
import shapiq
import torch

from data_filters.errors import InputError
from pretrain.shapley import exact
from pretrain.shapley.exact import enumerate_interaction, semantic_interactions
from pretrain.shapley.games import SemanticGame


def alignment(batch, regions, phrases, seed, scale=2.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(batch, regions, phrases, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("absent", ["zero", "drop"])
@pytest.mark.parametrize(("regions", "phrases"), [(4, 4), (1, 3), (3, 1), (2, 4), (1, 1)])
def test_equals_full_enumeration(referee, regions, phrases, absent):
    scores = alignment(2, regions, phrases, seed=regions * 10 + phrases)
    ours = semantic_interactions(scores, absent=absent)
    players = [("r", i) for i in range(regions)] + [("p", j) for j in range(phrases)]
    for image in range(2):
        matrix = scores[image].numpy()

        def game(coalition, matrix=matrix):
            present = [{n for kind, n in coalition if kind == side} for side in "rp"]
            return referee.semantic_value(matrix, *present, absent)

        for i in range(regions):
            for j in range(phrases):
                expected = referee.pair_interaction(game, players, ("r", i), ("p", j))
                assert ours[image, i, j].item() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("absent", ["zero", "drop"])
def test_padding_is_not_in_the_game(absent):
    scores = alignment(3, 5, 4, seed=5)
    region_mask = torch.tensor([[1, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 1, 0]]).bool()
    phrase_mask = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]]).bool()
    ours = semantic_interactions(scores, region_mask, phrase_mask, absent)
    assert (ours[~(region_mask[:, :, None] & phrase_mask[:, None])] == 0).all()
    assert torch.isfinite(ours).all()
    for image in range(2):
        kept = scores[image : image + 1, region_mask[image]][:, :, phrase_mask[image]]
        alone = semantic_interactions(kept, absent=absent)
        among = ours[image, region_mask[image]][:, phrase_mask[image]]
        torch.testing.assert_close(among, alone[0], atol=1e-12, rtol=0)


@pytest.mark.parametrize("absent", ["zero", "drop"])
@pytest.mark.parametrize(("regions", "phrases"), [(4, 6), (6, 3)])
def test_equals_shapiq(regions, phrases, absent):
    scores = alignment(1, regions, phrases, seed=regions)
    game = SemanticGame(scores, absent=absent)

    def values(matrix):
        return game(torch.from_numpy(np.asarray(matrix)).bool()[None])[0].numpy()

    index = shapiq.ExactComputer(n_players=regions + phrases, game=values)("SII", 2)
    ours = semantic_interactions(scores, absent=absent)[0]
    for i in range(regions):
        for j in range(phrases):
            assert ours[i, j].item() == pytest.approx(index[(i, regions + j)], abs=1e-8)


@pytest.mark.parametrize("absent", ["zero", "drop"])
def test_extreme_logits_stay_exact(referee, absent):
    """At the sharpest temperature rows differ by e^100 and all-negative rows must not cancel away."""
    scores = torch.tensor([[[-100.0, -99.0, -101.0], [60.0, -60.0, 59.5]]], dtype=torch.float64)
    ours = semantic_interactions(scores, absent=absent)
    players = [("r", 0), ("r", 1), ("p", 0), ("p", 1), ("p", 2)]

    def game(coalition):
        present = [{n for kind, n in coalition if kind == side} for side in "rp"]
        return referee.semantic_value(scores[0].numpy(), *present, absent)

    for i in range(2):
        for j in range(3):
            expected = referee.pair_interaction(game, players, ("r", i), ("p", j))
            assert ours[0, i, j].item() == pytest.approx(expected, abs=1e-10)


def test_costs_less_than_ten_milliseconds_on_one_core():
    scores = torch.randn(64, 8, 6)
    masks = torch.rand(64, 8) > 0.2, torch.rand(64, 6) > 0.2
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = []
        for _ in range(15):
            start = time.process_time()
            semantic_interactions(scores, *masks)
            seconds.append(time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    assert sorted(seconds)[3] < 0.010


@pytest.mark.parametrize("absent", ["zero", "drop"])
def test_sampled_side_agrees_with_the_exact_one(monkeypatch, absent):
    scores = alignment(2, 3, 6, seed=3)
    mask = torch.tensor([[True] * 6, [True, False, True, True, True, False]])
    truth = semantic_interactions(scores, None, mask, absent)
    monkeypatch.setattr(exact, "EXACT_PLAYERS", 2)
    runs = torch.stack(
        [
            semantic_interactions(
                scores, None, mask, absent, orders=8, generator=torch.Generator().manual_seed(seed)
            )
            for seed in range(200)
        ]
    )
    error = runs.std(0) / 200**0.5
    assert ((runs.mean(0) - truth).abs() <= 4.5 * error + 1e-12).all()
    assert (runs.std(0) < truth.abs().max()).all()


def test_a_large_side_needs_a_generator():
    with pytest.raises(InputError, match="13 players"):
        semantic_interactions(torch.randn(1, 2, 13))
    out = semantic_interactions(torch.randn(1, 2, 13), orders=4, generator=torch.Generator().manual_seed(0))
    assert out.shape == (1, 2, 13)


def test_enumerate_interaction_is_the_index_of_a_coalition(referee):
    table = referee.Table(6, seed=0)
    players = range(6)
    pair = referee.pair_interaction(table.of, players, 1, 4)
    assert enumerate_interaction(table, [1, 4], 6) == pytest.approx(pair, abs=1e-12)
    assert enumerate_interaction(table, [2], 6) == pytest.approx(
        referee.shapley_value(table.of, players, 2), abs=1e-12
    )
    index = shapiq.ExactComputer(n_players=6, game=table.as_shapiq)("SII", 3)
    assert enumerate_interaction(table, [0, 3, 5], 6) == pytest.approx(index[(0, 3, 5)], abs=1e-8)


def test_unknown_mode_is_named():
    with pytest.raises(InputError, match="'zero', 'drop'"):
        semantic_interactions(torch.randn(1, 2, 2), absent="gone")
