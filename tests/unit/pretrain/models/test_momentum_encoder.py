"""The momentum encoder: follows, keeps fp32, embeds by its own weights, and queues the newest embeddings."""

import pytest
import torch
from tiny_matcher import eight_pairs, matcher_recipe, matcher_task

from data_filters.matching import image_embeddings, image_tokens, text_embeddings
from pretrain.models.momentum_encoder import MomentumEncoder


@pytest.fixture(scope="module")
def matcher():
    return matcher_task(matcher_recipe()).matcher.eval()


def embedded(matcher, batch):
    with torch.no_grad():
        images = image_embeddings(matcher, image_tokens(matcher, batch.pixel_values))
        return images, text_embeddings(matcher, batch.input_ids, batch.attention_mask)


def test_it_starts_as_the_matcher_and_then_lags_behind(matcher):
    batch, encoder = eight_pairs(), MomentumEncoder(matcher, 0.9, 0, 8)
    before = embedded(matcher, batch)
    for ours, theirs in zip(encoder(matcher, batch), before, strict=True):
        torch.testing.assert_close(ours, theirs)
    weight = matcher.vision_proj.weight
    first = weight.detach().clone()
    with torch.no_grad():
        weight.add_(1.0)
    for ours, theirs in zip(encoder(matcher, batch), before, strict=True):
        torch.testing.assert_close(ours, theirs)  # its own weights are used
    encoder.follow(matcher)
    encoder.follow(matcher)
    torch.testing.assert_close(encoder.get_buffer("of_vision_proj_weight"), first + (1 - 0.9**2))
    with torch.no_grad():
        weight.copy_(first)
    assert not [name for name, _ in encoder.named_buffers() if "crossattention" in name or "itm_head" in name]
    assert not list(encoder.parameters())


def test_weights_stay_fp32_in_a_model_of_bf16(matcher):
    encoder = MomentumEncoder(matcher, 0.999, 3, 8).to(torch.bfloat16)
    assert {buffer.dtype for buffer in encoder.buffers()} == {torch.float32}


def test_the_queue_holds_the_newest(matcher):
    encoder = MomentumEncoder(matcher, 0.9, 5, 8)
    rows = torch.arange(1.0, 9.0)[:, None].expand(-1, 8)
    assert not encoder.queued()[2].any()
    encoder.enqueue(rows[:2], -rows[:2])
    images, texts, there = encoder.queued()
    assert there.tolist() == [True, True, False, False, False]
    assert images[:2, 0].tolist() == [1, 2]
    assert texts[:2, 0].tolist() == [-1, -2]
    encoder.enqueue(rows[2:6], -rows[2:6])
    assert sorted(encoder.queued()[0][:, 0].tolist()) == [2, 3, 4, 5, 6]
    encoder.enqueue(rows, -rows)  # more than fit
    assert sorted(encoder.queued()[0][:, 0].tolist()) == [4, 5, 6, 7, 8]
    assert encoder.queued()[2].all()
