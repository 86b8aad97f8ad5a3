"""Checks that an export computes the same embeddings as the run."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModel, SiglipModel, VisionTextDualEncoderModel

from pretrain.export.progress_bars import quiet_loading
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.text_kinds import text_kind

LIMIT = 1e-5
_SEED = 20240


def check_parity(model: DualEncoder, export: str, *, limit: float = LIMIT) -> float:
    """Largest absolute difference between the embeddings of `model` and of the folder `export`, in fp32.

    Both get the same random images and the same random captions of unequal length. Compared are unit-length
    global embeddings and the temperature's logarithm.

    Raises RuntimeError when the difference exceeds `limit`: the export then does not compute what was trained.
    """
    with quiet_loading():
        stock = AutoModel.from_pretrained(export, dtype=torch.float32).eval()
    pixels, ids, mask = probe(model)
    with torch.no_grad():
        exported = (*stock_embeddings(stock, pixels, ids, mask), stock.logit_scale.reshape(()))
    trained = run_embeddings(model, pixels, ids, mask)
    return accept(largest_difference(zip(trained, exported, strict=True)), export, limit)


def probe(
    model: DualEncoder, images: int = 3, texts: int = 4, tokens: int = 16, padding: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Random pixel_values [I, 3, H, W], input_ids [T, L], attention_mask [T, L]: the same on every call.

    Captions have from 3 to L = `tokens` tokens (fewer where the tower has fewer positions); padding, and only
    padding, is the token `padding` (else the text tower's own). For a tower that reads padding (SigLIP) L is the
    tower's length, and the mask is 1 throughout.
    """
    generator = torch.Generator().manual_seed(_SEED)
    side, words = model.image_size, model.text_model.config
    kind = text_kind(words)
    pixels = torch.rand(images, 3, side, side, generator=generator) * 2 - 1
    most = kind.most_tokens(words)
    length = most if kind.reads_padding else min(tokens, most)
    if padding is None:
        padding = words.pad_token_id or 0
    ids = torch.randint(0, words.vocab_size, (texts, length), generator=generator)
    ids = torch.where(ids == padding, (ids + 1) % words.vocab_size, ids)
    lengths = torch.linspace(length if texts == 1 else 3, length, texts).round()
    mask = (torch.arange(length) < lengths[:, None]).long()
    ids = ids.masked_fill(mask == 0, padding)
    if kind.pools_last:  # the end of a text is where its embedding is taken
        end = words.vocab_size - 1 if words.eos_token_id == 2 else words.eos_token_id
        ids = torch.where(ids == end, ids.new_tensor(0 if padding else 1), ids)
        ids = ids.scatter(1, mask.sum(1, keepdim=True) - 1, end)
    return pixels, ids, torch.ones_like(mask) if kind.reads_padding else mask


def run_embeddings(
    model: DualEncoder, pixels: Tensor, ids: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Unit-length image and text embeddings and the temperature's logarithm, without dropout."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return (
                model.encode_image(pixels)[0],
                model.encode_text(ids, mask)[0],
                model.logit_scale.detach()[0],
            )
    finally:
        model.train(was_training)


def stock_embeddings(
    stock: VisionTextDualEncoderModel | SiglipModel, pixels: Tensor, ids: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Unit-length image and text embeddings as the stock model computes them."""
    image = stock.get_image_features(pixel_values=pixels).pooler_output
    text = stock.get_text_features(input_ids=ids, attention_mask=mask).pooler_output
    return F.normalize(image, dim=-1), F.normalize(text, dim=-1)


def largest_difference(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Largest absolute difference of any value of any pair. NaN anywhere gives NaN, which `accept` refuses."""
    differences = [(trained - exported).detach().abs().max() for trained, exported in pairs]
    return float(torch.stack(differences).max())  # unlike Python's max, this returns NaN if there is one


def accept(difference: float, export: str, limit: float = LIMIT) -> float:
    """`difference`, where it is at most `limit`. Raises RuntimeError where it is not."""
    if not difference <= limit:
        raise RuntimeError(
            f"the export {export!r} differs from the run by {difference:.3g} (allowed: {limit:g} in fp32); "
            "it was not put in place"
        )
    return difference
