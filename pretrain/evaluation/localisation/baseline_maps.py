"""Maps of where a dual encoder without a region head locates a text: the baselines of LOUPE's Table 3.

Each gives one map per text over the C cells of the last image map, or (k-means) groups of cells for all texts.

Shapes: N texts, C cells, D width, W channels of the tower's last map, G groups.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.image_kinds import image_kind
from pretrain.regions.saliency import saliency


def pixel_maps(
    encoder: TokenEncoder, pixels: Float[Tensor, "1 3 H W"], texts: Float[Tensor, "N D"]
) -> Float[Tensor, "N C"]:
    """CLIP + pixel: cosine of each patch token with each text, less the image's mean."""
    similar = texts @ encoder.patches(pixels)[0].T
    return similar - similar.mean(-1, keepdim=True)


def saliency_map(patches: Float[Tensor, "C D"]) -> Float[Tensor, "1 C"]:
    """Distance of each cell from the background, independent of any text (`pretrain.regions.saliency`).

    A control that does not read the text. In a tower that stores what the whole image shows in its background tokens,
    similarity maps are the inverse of this map, and this map locates objects better.
    """
    return saliency(patches)[None]


def gradcam_maps(
    encoder: TokenEncoder, pixels: Float[Tensor, "1 3 H W"], texts: Float[Tensor, "N D"]
) -> Float[Tensor, "N C"]:
    """CLIP + Grad-CAM (Selvaraju et al. 2017, eq. 1 and 2) at the input of the tower's last block.

    The class score is the cosine with the text. The last map itself does not serve: there a mean-pooled tower has the
    same gradient in every cell, and a tower that pools a class token has none.
    """
    with torch.enable_grad():
        embedding, tokens = _embedding_of_tokens(encoder.dual, pixels)
        # A text's gradient is its embedding times that of each dimension: never more backward passes than D.
        many = len(texts) > embedding.shape[0]
        targets = embedding if many else texts @ embedding
        rows = [
            torch.autograd.grad(target, tokens, retain_graph=True)[0][0].mean(0)
            for target in targets.unbind()
        ]
    weights = torch.stack(rows)
    weights = texts @ weights if many else weights
    cells = encoder.grid[0] * encoder.grid[1]
    return (weights @ tokens.detach()[0, -cells:].T).relu()


def cluster_cells(patches: Float[Tensor, "C D"], clusters: int, rounds: int = 20) -> Bool[Tensor, "G C"]:
    """CLIP + k-means: cells by the nearest of `clusters` centres (spherical k-means), without the empty groups.

    Starts from the token furthest from the mean, then each time the one furthest from all centres: no randomness.
    """
    distances = 1 - patches @ F.normalize(patches.mean(0), dim=0)
    centres = patches[distances.argmax()][None]
    nearest = patches @ centres.T
    while len(centres) < min(clusters, len(patches)):
        centres = torch.cat([centres, patches[nearest.amax(1).argmin()][None]])
        nearest = patches @ centres.T
    for _ in range(rounds):
        member = F.one_hot(nearest.argmax(1), len(centres)).to(patches.dtype)
        moved = F.normalize(member.T @ patches, dim=-1)
        centres = torch.where(member.sum(0)[:, None] > 0, moved, centres)
        before, nearest = nearest.argmax(1), patches @ centres.T
        if torch.equal(before, nearest.argmax(1)):
            break
    groups = F.one_hot(nearest.argmax(1), len(centres)).bool().T
    return groups[groups.any(1)]


def _embedding_of_tokens(
    dual: DualEncoder, pixels: Tensor
) -> tuple[Float[Tensor, " D"], Float[Tensor, "1 T W"]]:
    """The image's embedding as a function of the tokens that enter the last block; both in one graph."""
    held: list[Tensor] = []

    def hold(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        entering = inputs[0].detach()
        is_map = entering.ndim == 4  # [1, W, h, w], as a ConvNeXt has it
        held.append((entering.flatten(2).transpose(1, 2) if is_map else entering).requires_grad_())
        return (held[0].transpose(1, 2).view_as(entering) if is_map else held[0], *inputs[1:])

    handle = _last_block(dual.vision_model).register_forward_pre_hook(hold)
    try:
        embedding = dual.encode_image(pixels)[0][0]
    finally:
        handle.remove()
    return embedding, held[0]


def _last_block(tower: PreTrainedModel) -> nn.Module:
    """The last block of a tower: in its last stage, where it has stages."""
    block: nn.Module = tower
    for name in image_kind(tower.config).blocks:
        block = _last(block, name)
    return block


def _last(module: nn.Module, name: str) -> nn.Module:
    """The last module of the list `name` of a module."""
    modules = module.get_submodule(name)
    assert isinstance(modules, nn.ModuleList)
    return modules[-1]
