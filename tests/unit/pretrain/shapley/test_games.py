"""Games: what a coalition is worth, by a slow hand and by the fast code."""

import itertools

import pytest
import torch

from data_filters.errors import InputError
from pretrain.shapley.games import SemanticGame, TokenGame, between_specials
from pretrain.shapley.sampled import merged_interaction


def masked_cosine(encoder, inputs, image, cells, words):
    """One coalition of one pair, straight through the encoder."""
    pixels, ids, mask = (tensor[image : image + 1] for tensor in inputs)
    keep_cells = torch.zeros(1, 9)
    keep_cells[0, list(cells)] = 1
    keep_words = torch.ones(1, 8)
    last = int(mask.sum()) - 1
    for position in range(1, last):
        keep_words[0, position] = float(position in words)
    was = encoder.training
    encoder.eval()
    with torch.no_grad():
        seen = encoder.encode_image(pixels, keep_cells)[0]
        read = encoder.encode_text(ids, mask, keep_words)[0]
    encoder.train(was)
    return float((seen * read).sum())


@pytest.mark.parametrize("chunk", [1, 5, 256])
def test_token_values_are_the_cosines_of_masked_pairs(encoder, inputs, chunk):
    game = TokenGame(encoder, *inputs, chunk=chunk)
    coalitions = torch.rand(2, 6, 17, generator=torch.Generator().manual_seed(0)) > 0.5
    values = game(coalitions)
    for image, draw in itertools.product(range(2), range(6)):
        cells = coalitions[image, draw, :9].nonzero().flatten().tolist()
        words = coalitions[image, draw, 9:].nonzero().flatten().tolist()
        expected = masked_cosine(encoder, inputs, image, cells, words)
        assert values[image, draw].item() == pytest.approx(expected, abs=2e-6)
    assert game.forwards == {"image": 12, "text": 12}


def test_specials_and_padding_never_play(encoder, inputs):
    game = TokenGame(encoder, *inputs)
    assert game.player_mask[:, :9].all()
    assert game.player_mask[:, 9:].int().tolist() == [[0, 1, 1, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0, 0, 0]]
    coalitions = torch.rand(2, 4, 17, generator=torch.Generator().manual_seed(0)) > 0.5
    other = coalitions.clone()
    other[:, :, 9:] ^= ~game.player_mask[:, None, 9:]
    torch.testing.assert_close(game(coalitions), game(other))


def test_between_specials_of_short_texts():
    assert not between_specials(torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0]])).any()


def test_factorised_values_are_those_of_the_joint_coalitions(encoder, inputs):
    generator = torch.Generator().manual_seed(3)
    images, texts = (
        torch.rand(2, 5, 9, generator=generator) > 0.5,
        torch.rand(2, 4, 8, generator=generator) > 0.5,
    )
    game = TokenGame(encoder, *inputs)
    values = game.factorised(images, texts)
    assert game.forwards == {"image": 10, "text": 8}
    joint = torch.cat(
        [images[:, :, None].expand(-1, -1, 4, -1), texts[:, None].expand(-1, 5, -1, -1)], dim=-1
    )
    torch.testing.assert_close(values.flatten(1), game(joint.flatten(1, 2)), atol=2e-6, rtol=0)


def test_full_text_keeps_the_caption_whole(encoder, inputs):
    game = TokenGame(encoder, *inputs, context="full_text")
    assert game.player_mask.shape == (2, 9)
    coalitions = torch.rand(2, 3, 9, generator=torch.Generator().manual_seed(0)) > 0.5
    values = game(coalitions)
    cells = coalitions[1, 2].nonzero().flatten().tolist()
    assert values[1, 2].item() == pytest.approx(masked_cosine(encoder, inputs, 1, cells, range(8)), abs=2e-6)


def test_low_precision_comes_close(encoder, inputs):
    coalitions = torch.rand(2, 8, 17, generator=torch.Generator().manual_seed(0)) > 0.5
    full = TokenGame(encoder, *inputs)(coalitions)
    low = TokenGame(encoder, *inputs, precision=torch.bfloat16)(coalitions)
    assert low.dtype == torch.float32
    assert not torch.equal(full, low)
    torch.testing.assert_close(full, low, atol=0.05, rtol=0)


@pytest.mark.parametrize("context", ["players", "full_text"])
def test_token_interactions_equal_enumeration(referee, encoder, inputs, context):
    """All 2^12 coalitions of the second pair (9 cells, 3 words) by the referee; many estimates of ours around it."""
    one = tuple(tensor[1:] for tensor in inputs)
    game = TokenGame(encoder, *one, context=context)
    positions = game.player_mask[0].nonzero().flatten().tolist()
    everything = torch.zeros(1, 2 ** len(positions), game.player_mask.shape[1], dtype=torch.bool)
    everything[0][:, positions] = torch.tensor(list(itertools.product([False, True], repeat=len(positions))))
    values = game(everything)[0].double().tolist()
    lookup = {
        frozenset(row.nonzero().flatten().tolist()): v for row, v in zip(everything[0], values, strict=True)
    }
    regions = [[0, 1], [3, 4, 6, 7]]
    truth = torch.tensor([referee.merged_interaction(lookup.__getitem__, positions, r) for r in regions])
    worth = torch.tensor([referee.merged_value(lookup.__getitem__, positions, r) for r in regions])

    runs = 100
    many = TokenGame(encoder, *(tensor.expand(runs, *tensor.shape[1:]) for tensor in one), context=context)
    masks = torch.zeros(runs, 2, many.player_mask.shape[1], dtype=torch.bool)
    for row, members in enumerate(regions):
        masks[:, row, members] = True
    estimate = merged_interaction(many, masks, many.player_mask, 120, torch.Generator().manual_seed(0))
    for drawn, expected, error in (
        (estimate.interaction, truth, estimate.interaction_error),
        (estimate.value, worth, estimate.value_error),
    ):
        assert ((drawn.mean(0) - expected).abs() < 4 * drawn.std(0) / runs**0.5 + 1e-6).all()
        assert ((drawn - expected).abs() < 3 * error + 1e-6).double().mean() > 0.95


def test_words_averaged_out_cost_less_and_say_more(encoder, inputs):
    """The same image forwards: joint coalitions scatter more than those with the words averaged out."""
    runs = 200
    repeated = tuple(tensor[1:].expand(runs, *tensor.shape[1:]) for tensor in inputs)
    game = TokenGame(encoder, *repeated)
    masks = torch.zeros(runs, 1, 17, dtype=torch.bool)
    masks[:, 0, [0, 1, 3]] = True
    averaged = merged_interaction(game, masks, game.player_mask, 40, torch.Generator().manual_seed(0))
    assert game.forwards == {"image": runs * 40, "text": runs * 2 * 9}
    joint = merged_interaction(
        lambda coalitions: game(coalitions), masks, game.player_mask, 40, torch.Generator().manual_seed(0)
    )
    assert averaged.interaction.std() < joint.interaction.std()


def test_regions_of_words_are_played_jointly(encoder, inputs):
    game = TokenGame(encoder, *inputs)
    masks = torch.zeros(2, 1, 17, dtype=torch.bool)
    masks[:, 0, [0, 10]] = True
    merged_interaction(game, masks, game.player_mask, 24, torch.Generator().manual_seed(0))
    assert game.forwards == {"image": 48, "text": 48}


@pytest.mark.parametrize("absent", ["zero", "drop"])
def test_semantic_values_by_hand(referee, absent):
    generator = torch.Generator().manual_seed(4)
    scores = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    region_mask = torch.tensor([[True, True, False], [True, True, True]])
    phrase_mask = torch.tensor([[True, False, True, True], [True, True, True, True]])
    game = SemanticGame(scores, region_mask, phrase_mask, absent)
    coalitions = torch.rand(2, 40, 7, generator=generator) > 0.5
    coalitions[:, 0], coalitions[:, 1] = False, True
    values = game(coalitions)
    for image in range(2):
        regions, phrases = region_mask[image].nonzero().flatten(), phrase_mask[image].nonzero().flatten()
        matrix = scores[image][regions][:, phrases].numpy()
        for draw in range(40):
            here = {i for i, r in enumerate(regions) if coalitions[image, draw, r]}
            there = {j for j, p in enumerate(phrases) if coalitions[image, draw, 3 + p]}
            expected = referee.semantic_value(matrix, here, there, absent)
            assert values[image, draw].item() == pytest.approx(expected, abs=1e-12)


def test_unknown_options_are_named(encoder, inputs):
    with pytest.raises(InputError, match="'players', 'full_text'"):
        TokenGame(encoder, *inputs, context="words")
    with pytest.raises(InputError, match="chunk is 0"):
        TokenGame(encoder, *inputs, chunk=0)
    with pytest.raises(InputError, match="'zero', 'drop'"):
        SemanticGame(torch.zeros(1, 2, 2), absent="none")
