import pytest
import torch
from torch.nn import functional as F
from transformers import SwinConfig, SwinModel, ViTConfig, ViTModel

from pretrain.evaluation.localisation.baseline_maps import (
    cluster_cells,
    gradcam_maps,
    pixel_maps,
    saliency_map,
)
from pretrain.evaluation.token_encoder import StockDualEncoder, TokenEncoder


class Stock(torch.nn.Module):
    """The modules of a VisionTextDualEncoderModel with a tower of any kind."""

    def __init__(self, tower):
        super().__init__()
        self.vision_model, self.text_model = tower, torch.nn.Identity()
        self.visual_projection = torch.nn.Linear(tower.config.hidden_size, 6, bias=False)
        self.text_projection = torch.nn.Identity()
        self.logit_scale = torch.nn.Parameter(torch.tensor(2.0))


def build(kind):
    torch.manual_seed(0)
    if kind == "vit":
        shape = ViTConfig(
            image_size=24,
            patch_size=8,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
        )
        tower = ViTModel(shape)
    else:
        shape = SwinConfig(
            image_size=24, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=3
        )
        tower = SwinModel(shape)
    # Weights larger than a tower starts with, so that gradients differ from cell to cell.
    for parameter in tower.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    encoder = TokenEncoder.__new__(TokenEncoder)
    encoder.dual = StockDualEncoder(Stock(tower)).eval()
    encoder.grid = encoder.dual.grid
    for parameter in encoder.dual.parameters():
        parameter.requires_grad_(False)
    return encoder, torch.randn(1, 3, 24, 24)


def test_saliency_is_the_distance_from_the_mean_whatever_is_said():
    patches = F.normalize(torch.randn(9, 6, generator=torch.Generator().manual_seed(0)), dim=-1)
    mean = sum(patches) / 9
    away = torch.tensor([1 - float(torch.cosine_similarity(patch, mean, dim=0)) for patch in patches])
    torch.testing.assert_close(saliency_map(patches), (away - away.mean())[None], atol=1e-6, rtol=0)


def last_block(dual):
    tower = dual.vision_model
    return tower.layers[-1] if tower.config.model_type == "vit" else tower.encoder.layers[-1].blocks[-1]


@pytest.mark.parametrize("kind", ["vit", "swin"])
def test_pixel_is_the_centred_similarity_of_each_patch(kind):
    encoder, pixels = build(kind)
    texts = F.normalize(torch.randn(2, 6), dim=-1)
    patches = encoder.dual.encode_image(pixels)[1][0]
    expected = torch.tensor([[float(patch @ text) for patch in patches] for text in texts])
    expected -= expected.mean(1, keepdim=True)
    torch.testing.assert_close(pixel_maps(encoder, pixels, texts), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["vit", "swin"])
@pytest.mark.parametrize(
    "count", [3, 9]
)  # fewer and more texts than dimensions: two ways to the same gradients
def test_gradcam_has_the_gradients_of_finite_differences(kind, count):
    encoder, pixels = build(kind)
    encoder.dual.double()
    pixels = pixels.double()
    texts = F.normalize(torch.randn(count, 6, dtype=torch.float64), dim=-1)
    seen = []

    def shifted(channel, by):
        def shift(_module, inputs):
            seen.append(inputs[0])
            moved = inputs[0].clone()
            moved[..., channel] += by
            return (moved, *inputs[1:])

        handle = last_block(encoder.dual).register_forward_pre_hook(shift)
        embedding = encoder.dual.encode_image(pixels)[0][0]
        handle.remove()
        return texts @ embedding

    tokens = (shifted(0, 0.0), seen[0][0])[1]
    step = 1e-5
    # All tokens moved together change the score by the sum of their gradients, which is their number × the mean.
    weights = torch.stack(
        [(shifted(c, step) - shifted(c, -step)) / (2 * step * len(tokens)) for c in range(tokens.shape[1])], 1
    )
    expected = (weights @ tokens[-9:].T).relu()
    assert expected.amax() > 1e-3
    torch.testing.assert_close(gradcam_maps(encoder, pixels, texts), expected, atol=1e-7, rtol=1e-4)


def test_clusters_are_found_and_share_out_the_cells():
    generator = torch.Generator().manual_seed(0)
    centres = F.normalize(torch.randn(4, 8, generator=generator), dim=-1)
    owner = torch.randint(0, 4, (40,), generator=generator)
    patches = F.normalize(centres[owner] + 0.05 * torch.randn(40, 8, generator=generator), dim=-1)
    groups = cluster_cells(patches, 4)
    assert sorted(map(tuple, groups.int().tolist())) == sorted(
        tuple((owner == one).int().tolist()) for one in owner.unique()
    )


@pytest.mark.parametrize("clusters", [1, 5, 80])
def test_clusters_are_a_partition_that_k_means_leaves_alone(clusters):
    patches = F.normalize(torch.randn(30, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
    groups = cluster_cells(patches, clusters, rounds=200)
    assert (groups.sum(0) == 1).all()
    assert groups.any(1).all()
    assert len(groups) <= min(clusters, 30)
    means = F.normalize(groups.float() @ patches, dim=-1)
    assert torch.equal((patches @ means.T).argmax(1), groups.int().argmax(0))


def test_equal_patches_are_one_group():
    assert cluster_cells(torch.ones(6, 4) / 2, 3).tolist() == [[True] * 6]
