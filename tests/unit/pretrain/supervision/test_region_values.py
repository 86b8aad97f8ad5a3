"""What regions add, against each region by itself; the same calls of the tower whatever is selected."""

from __future__ import annotations

import pytest
import torch
from small_tasks import PAIRS, at_step, module, recipe, six_pairs, supplied, train

from pretrain.models.max_pooling import max_pooled
from pretrain.objectives.phrase_contrast import PhraseTexts, credited_similarity
from pretrain.regions.pixel_masks import box_pixels, median_filling, with_parts
from pretrain.regions.soft_mask import pool
from pretrain.supervision.region_values import ImageParts, added_by_regions, encodes_alike

ROWS = torch.tensor([4, 1, 4, 4, 0])


def parts_of(fill: str, pooling: str, chunk: int = 256) -> ImageParts:
    model = module(recipe({"contrastive": {}})).eval()
    return ImageParts(model.dual_encoder, six_pairs().pixel_values, fill, pooling, chunk)


def masks_of(fill: str) -> torch.Tensor:
    shape = (16,) if fill == "zero" else (32, 32)
    return torch.rand(len(ROWS), *shape, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def alone(parts: ImageParts, row: int, mask: torch.Tensor) -> torch.Tensor:
    """The embedding of one part of one image, by another way."""
    pixels = parts.pixels[row : row + 1]
    if parts.fill == "zero":
        embedding, tokens = parts.encoder.encode_image(pixels, mask[None])
    else:
        embedding, tokens = parts.encoder.encode_image(with_parts(pixels, mask[None], median_filling(pixels)))
    return (max_pooled(tokens) if parts.pooling == "max_pooled" else embedding)[0]


@pytest.mark.parametrize("target", ["absence", "ends"])
@pytest.mark.parametrize("pooling", ["embedding", "max_pooled"])
@pytest.mark.parametrize("fill", ["zero", "median"])
def test_regions_add_what_each_adds_by_itself(fill, pooling, target):
    parts, masks = parts_of(fill, pooling), masks_of(fill)
    added = added_by_regions(parts, ROWS, masks, target, None)
    whole = torch.stack([alone(parts, row, torch.ones_like(masks[0])) for row in range(PAIRS)])
    assert torch.allclose(added, added_by_regions(parts, ROWS, masks, target, whole), atol=1e-5)
    for row, mask, found in zip(ROWS.tolist(), masks, added, strict=True):
        expected = whole[row] - alone(parts, row, 1 - mask)
        if target == "ends":
            expected = (expected + alone(parts, row, mask) - alone(parts, row, torch.zeros_like(mask))) / 2
        assert torch.allclose(found, expected, atol=1e-5)


def test_images_without_a_region_cost_nothing_and_calls_do_not_depend_on_the_selection():
    masks, whole = masks_of("median"), torch.zeros(PAIRS, 16)
    for rows, images in ((ROWS, 3), (torch.zeros_like(ROWS), 1), (torch.arange(5), 5)):
        parts = parts_of("median", "embedding", chunk=2)
        calls: list[int] = []
        parts.encoder.vision_model.register_forward_hook(lambda *args, calls=calls: calls.append(1))
        added_by_regions(parts, rows, masks, "ends", whole)
        assert len(calls) == 3 + 3 + 3
        assert parts.forwards == 2 * 5 + images


def test_a_training_step_encodes_as_an_evaluation_does_only_where_nothing_is_left_out_at_random():
    dropped = recipe({"contrastive": {}})
    plain = dropped.model.model_copy(
        update={
            "image": dropped.model.image.model_copy(update={"drop_path": 0.0}),
            "text": dropped.model.text.model_copy(update={"dropout": 0.0}),
        }
    )
    for config, alike in ((dropped, False), (dropped.model_copy(update={"model": plain}), True)):
        model = module(config).train()
        features = model.encode(six_pairs())
        assert encodes_alike(model.dual_encoder, features) == alike
        assert encodes_alike(model.eval().dual_encoder, features)


ENDS = {"target": "ends", "fill": "median", "pooling": "max_pooled", "rows": "softmax", "mode": "sampled"}


@pytest.mark.parametrize(
    ("options", "settings", "message"),
    [
        (
            {},
            {"target": "interaction"},
            "with supervision.target interaction, which has no value for a phrase",
        ),
        (
            {},
            {"target": "ends", "pooling": "max_pooled"},
            "phrase_contrast.text is embedding and supervision.pooling max",
        ),
    ],
)
def test_credit_takes_targets_of_the_same_phrases(options, settings, message):
    with pytest.raises(ValueError, match=message):
        recipe({"phrase_contrast": {"credit": "shapley"} | options}, **settings)


def test_a_phrase_is_compared_with_its_regions_by_what_they_add_for_it():
    batch = six_pairs()
    objectives = {"token_semantics": {}, "phrase_contrast": {"text": "max_pooled", "credit": "shapley"}}
    model = module(recipe(objectives, budget=None, **ENDS)).eval()
    targets = supplied(model, "shapley", batch, at_step(0)).targets
    texts: PhraseTexts = supplied(model, "phrase_texts", batch, at_step(0)).targets
    patches = model.encode(batch).patches
    similar, replaced = credited_similarity(patches, texts, targets)
    assert replaced.equal(texts.real)
    regions = pool(patches, targets.regions.soft_masks)
    parts = ImageParts(model.dual_encoder, batch.pixel_values, "median", "max_pooled", 64)
    for row in texts.real[:, 0].nonzero().flatten().tolist():
        masks = box_pixels(targets.regions.boxes[row].detach(), (32, 32))
        added = added_by_regions(parts, torch.full((4,), row), masks, "ends", None)
        owed = added @ texts.texts[row, 0]
        share = (owed - owed.mean()) / (owed - owed.mean()).square().mean().sqrt()
        expected = share.softmax(0) @ (regions[row] @ texts.texts[row, 0])
        assert float(similar[row, 0]) == pytest.approx(float(expected), abs=2e-4)


def test_only_images_with_a_sampled_or_predicted_region_are_credited():
    model = module(
        recipe({"phrase_contrast": {"credit": "shapley", "text": "max_pooled"}}, budget=4, **ENDS)
    ).eval()
    batch = six_pairs()
    targets = supplied(model, "shapley", batch, at_step(0)).targets
    texts = supplied(model, "phrase_texts", batch, at_step(0)).targets
    _, replaced = credited_similarity(model.encode(batch).patches, texts, targets)
    assert replaced[:, 0].equal(texts.real[:, 0] & targets.sampled.any(1))
    assert int(targets.sampled.any(1).sum()) == 1  # all four regions of one image
    assert targets.semantic is None


def test_unsil_learns_what_regions_add_for_any_text():
    """The regions of frozen towers; a caption that the loss compares with no region of the image is told as well."""
    settings = ENDS | {"budget": None, "regions": 16, "suppress_above": None}
    model = module(recipe({"unsil": {}}, **settings)).eval()
    model.dual_encoder.requires_grad_(False)
    batch = six_pairs()

    def error() -> tuple[float, float]:
        targets = supplied(model, "shapley", batch, at_step(0)).targets
        wanted, found = targets.added_targets, targets.prediction.added
        other = targets.added.texts.roll(3, 0)[..., None]
        of_text = ((found - wanted) @ other).square().mean() / (wanted @ other).square().mean()
        of_caption = (targets.prediction.relative - targets.token_targets).square().mean()
        return float(of_text), float(of_caption / targets.token_targets.square().mean())

    assert error() == pytest.approx((1.0, 1.0))
    train(model, batch, 60)
    after = error()
    assert after[0] < 0.7
    assert after[1] < 0.5
