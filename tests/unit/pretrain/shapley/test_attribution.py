"""Attributions against shapiq's exact Shapley values."""

import numpy as np
import pytest
import shapiq
import torch

from data_filters.errors import InputError
from pretrain.shapley.attribution import attribute, phrase_attributions
from pretrain.shapley.games import TokenGame


def games(referee, players, phrases):
    return [referee.Table(players, seed=seed, terms=30) for seed in range(phrases)]


def shapiq_values(tables):
    rows = []
    for table in tables:
        values = shapiq.ExactComputer(n_players=table.players, game=table.as_shapiq)("SV", 1)
        rows.append([values[(player,)] for player in range(table.players)])
    return torch.tensor(np.array(rows, dtype=float))


def answers(tables):
    return lambda coalitions: torch.stack([table(coalitions) for table in tables], dim=-1)


def everyone(batch, players):
    return torch.ones(batch, players, dtype=torch.bool)


@pytest.mark.parametrize("players", [1, 2, 5, 10, 12])
def test_all_coalitions_give_shapiqs_exact_values(referee, players):
    tables = (
        games(referee, players, 3) if players > 4 else [referee.Table(players, s, 6, 1) for s in range(3)]
    )
    found = attribute(answers(tables), everyone(1, players), 2**players + 2, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found.values[0], shapiq_values(tables), atol=1e-8, rtol=0)
    assert (found.error == 0).all()
    assert found.evaluations == 2**players


def test_samples_come_close_and_know_by_how_much(referee):
    players, runs = 11, 200
    tables = games(referee, players, 2)
    truth = shapiq_values(tables)
    errors = {}
    for evaluations in (66, 258):
        generator = torch.Generator().manual_seed(0)
        found = attribute(answers(tables), everyone(runs, players), evaluations, generator)
        off = found.values - truth
        errors[evaluations] = off.abs().mean() / truth.abs().mean()
        assert found.evaluations == evaluations
        claimed = found.error.square().mean().sqrt() / off.square().mean().sqrt()
        assert 0.95 < claimed < 2.5
        # The regression's own bias is of order 1/K: small beside the error of a single run.
        assert (off.mean(0).abs() < 0.35 * off.std(0)).all()
    assert errors[66] < 0.4
    assert errors[258] < 0.6 * errors[66]


def test_spreading_pays(referee):
    tables = games(referee, 12, 2)
    truth = shapiq_values(tables)
    error = {}
    for candidates in (1, 8):
        found = attribute(
            answers(tables), everyone(200, 12), 98, torch.Generator().manual_seed(0), candidates=candidates
        )
        error[candidates] = (found.values - truth).abs().mean().item()
    assert error[8] < 0.85 * error[1]


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_efficiency_is_a_constraint_unless_switched_off(referee, ridge):
    tables = games(referee, 10, 2)
    call = answers(tables), everyone(4, 10), 50
    held = attribute(*call, torch.Generator().manual_seed(0), ridge=ridge)
    torch.testing.assert_close(held.values.sum(-1), held.whole - held.empty)
    free = attribute(*call, torch.Generator().manual_seed(0), ridge=ridge, efficient=False)
    assert (free.values.sum(-1) - (free.whole - free.empty)).abs().max() > 1e-3


def test_ridge_shrinks_to_equal_shares_or_to_nothing(referee):
    tables = games(referee, 8, 1)
    call = answers(tables), everyone(1, 8), 50
    equal = attribute(*call, torch.Generator().manual_seed(0), ridge=1e6)
    share = ((equal.whole - equal.empty) / 8)[..., None].expand_as(equal.values)
    torch.testing.assert_close(equal.values, share, atol=1e-4, rtol=0)
    nothing = attribute(*call, torch.Generator().manual_seed(0), ridge=1e6, efficient=False)
    assert nothing.values.abs().max() < 1e-4
    few = attribute(answers(tables), everyone(1, 8), 8, torch.Generator().manual_seed(0), ridge=0.1)
    assert few.values.isfinite().all()


def test_padded_players_get_nothing(referee):
    tables = games(referee, 9, 2)
    players = torch.tensor([[True, False, True, True, True, False, True, True, True], [True] * 9])
    found = attribute(answers(tables), players, 82, torch.Generator().manual_seed(0))
    assert (found.values[0][:, ~players[0]] == 0).all()
    assert (found.error[0][:, ~players[0]] == 0).all()
    torch.testing.assert_close(found.values.sum(-1), found.whole - found.empty)


def test_weighting_by_size_is_an_option(referee):
    tables = games(referee, 10, 1)
    call = answers(tables), everyone(200, 10), 130
    kernel, uniform = (
        attribute(*call, torch.Generator().manual_seed(0), weighting=weighting).values.mean(0)
        for weighting in ("shapley", "uniform")
    )
    truth = shapiq_values(tables)
    assert (kernel - truth).abs().max() < (uniform - truth).abs().max()


def test_one_set_of_forwards_serves_every_phrase(encoder, inputs):
    """Phrases together cost what one costs, and each comes out as by itself."""
    generator = torch.Generator().manual_seed(2)
    phrases = torch.nn.functional.normalize(torch.randn(2, 4, 8, generator=generator), dim=-1)
    game = TokenGame(encoder, *inputs, context="full_text")
    found = phrase_attributions(game, phrases, 60, torch.Generator().manual_seed(0))
    assert found.values.shape == (2, 4, 9)
    assert game.forwards == {"image": 2 * 60, "text": 0}
    alone = phrase_attributions(game, phrases[:, 2:3], 60, torch.Generator().manual_seed(0))
    torch.testing.assert_close(alone.values[:, 0], found.values[:, 2])


def test_whole_images_are_what_the_encoder_says(encoder, inputs):
    game = TokenGame(encoder, *inputs, context="full_text")
    phrases = torch.nn.functional.normalize(torch.randn(2, 1, 8), dim=-1)
    found = phrase_attributions(game, phrases, 2**9, torch.Generator().manual_seed(0))
    with torch.no_grad():
        embedding = encoder.eval().encode_image(inputs[0])[0]
    torch.testing.assert_close(
        found.whole.float()[:, 0], (embedding * phrases[:, 0]).sum(-1), atol=1e-5, rtol=0
    )


def test_impossible_requests_are_refused(referee):
    tables = games(referee, 9, 1)
    call = answers(tables), everyone(1, 9)
    with pytest.raises(InputError, match="4 and more"):
        attribute(*call, 3, torch.Generator())
    with pytest.raises(InputError, match="raise it to 20 or set ridge"):
        attribute(*call, 18, torch.Generator())
    with pytest.raises(InputError, match="'shapley', 'uniform'"):
        attribute(*call, 60, torch.Generator(), weighting="banzhaf")
    with pytest.raises(InputError, match="ridge is -1"):
        attribute(*call, 60, torch.Generator(), ridge=-1)
