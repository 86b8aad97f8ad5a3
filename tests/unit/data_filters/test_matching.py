"""The composed scores against calls of the stock model, and the settings that lie beside its weights."""

import json

import numpy as np
import pytest
import torch
from tiny_matching import tiny_model

from data_filters.errors import InputError
from data_filters.matching import (
    MATCH,
    SETTINGS,
    MatchingSettings,
    matching_logits,
    matching_scores,
    read_settings,
    write_settings,
)

PAIRS, TOKENS, SIDE = 5, 9, 32


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def inputs():
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(PAIRS, 3, SIDE, SIDE, generator=generator)
    ids = torch.randint(4, 17, (PAIRS, TOKENS), generator=generator)
    mask = torch.ones_like(ids)
    for row, length in enumerate((9, 4, 7, 9, 3)):
        mask[row, length:], ids[row, length:] = 0, 0
    return pixels, ids, mask


def test_scores_are_those_of_two_stock_calls(model, inputs):
    pixels, ids, mask = inputs
    with torch.no_grad():
        itc, itm = matching_scores(model, pixels, ids, mask)
        stock = {"pixel_values": pixels, "input_ids": ids, "attention_mask": mask}
        matrix = model(**stock, use_itm_head=False).itm_score
        head = model(**stock, use_itm_head=True).itm_score
    assert matrix.shape == (PAIRS, PAIRS)
    np.testing.assert_allclose(itc, matrix.diagonal(), atol=1e-5)
    np.testing.assert_allclose(itm, head.softmax(-1)[:, MATCH], atol=1e-5)
    assert itc.std() > 0.01  # else anything would do
    assert itm.std() > 0.01


def test_the_first_token_is_replaced_for_the_matching_head_alone(model, inputs):
    pixels, ids, mask = inputs
    marked = ids.clone()
    marked[:, 0] = 17
    with torch.no_grad():
        itc, itm = matching_scores(model, pixels, ids, mask, first_token_id=17)
        plain_itc, plain_itm = matching_scores(model, pixels, ids, mask)
        head = model(pixel_values=pixels, input_ids=marked, attention_mask=mask, use_itm_head=True).itm_score
    assert torch.equal(itc, plain_itc)
    np.testing.assert_allclose(itm, head.softmax(-1)[:, MATCH], atol=1e-5)
    assert not torch.allclose(itm, plain_itm, atol=1e-3)
    assert not torch.equal(ids, marked)  # the caller's own are left as they were


def test_logits_pass_gradients_to_the_image_tokens(model, inputs):
    _, ids, mask = inputs
    tokens = torch.randn(PAIRS, 17, 16, requires_grad=True)
    matching_logits(model, tokens, ids, mask)[:, MATCH].sum().backward()
    assert tokens.grad is not None
    assert tokens.grad.abs().sum() > 0


def test_settings_are_read_as_written_and_default_without_a_file(tmp_path):
    assert read_settings(str(tmp_path)) == MatchingSettings("[CLS]", None)
    settings = MatchingSettings("[ENC]", 0.07)
    write_settings(str(tmp_path), settings)
    assert read_settings(str(tmp_path)) == settings
    assert json.loads((tmp_path / SETTINGS).read_text()) == {"first_token": "[ENC]", "temperature": 0.07}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"first_token": "[CLS]"}',
        '{"first_token": 3, "temperature": 0.07}',
        '{"first_token": "[CLS]", "temperature": 0}',
        '{"first_token": "[CLS]", "temperature": NaN}',
        '{"first_token": "[CLS]", "temperature": "x"}',
    ],
)
def test_damaged_settings_are_refused_in_one_line(tmp_path, text):
    (tmp_path / SETTINGS).write_text(text)
    with pytest.raises(InputError, match=SETTINGS) as caught:
        read_settings(str(tmp_path))
    assert "\n" not in str(caught.value)
