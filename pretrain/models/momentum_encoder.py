"""A slowly following copy of a matcher's encoders, and the queue of its newest embeddings (MoCo; ALBEF; BLIP).

He et al. 2020, "Momentum contrast", arXiv:1911.05722; Li et al. 2021, ALBEF, arXiv:2107.07651, sections 3.2 and 3.3.

Shapes: B pairs of this rank, G pairs of all ranks, E values of an embedding, Q places of the queue.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from transformers import BlipForImageTextRetrieval

from data_filters.matching import image_embeddings, image_tokens, text_embeddings
from pretrain.data.samples.batch import Batch
from pretrain.models.running_statistics import RunningState

GROUNDED = ("crossattention", "itm_head")
"""Parts of the names of parameters that take no part in the embeddings, and have no copy."""


class MomentumEncoder(RunningState):
    """Weights that follow a matcher's by an exponential average, in fp32, and the queue; both are in checkpoints.

    Args:
        rate: the share of the old weights that stays in each step.
        places: Q, embeddings of each kind that the queue holds; 0: none.
    """

    images: Tensor
    texts: Tensor
    filled: Tensor
    place: Tensor

    def __init__(self, matcher: BlipForImageTextRetrieval, rate: float, places: int, dim: int) -> None:
        super().__init__()
        self.rate = rate
        for name, parameter in _followed(matcher):
            self.register_buffer(_stored(name), parameter.detach().float().clone())
        self.register_buffer("images", F.normalize(torch.randn(places, dim), dim=-1))
        self.register_buffer("texts", F.normalize(torch.randn(places, dim), dim=-1))
        self.register_buffer("filled", torch.zeros(1))  # counts as fp32, which holds them exactly up to 2^24
        self.register_buffer("place", torch.zeros(1))

    @torch.no_grad()
    def follow(self, matcher: BlipForImageTextRetrieval) -> None:
        """Move the weights towards the matcher's: w ← rate · w + (1 - rate) · matcher's."""
        for name, parameter in _followed(matcher):
            self.get_buffer(_stored(name)).lerp_(parameter.detach().float(), 1 - self.rate)

    @torch.no_grad()
    def forward(
        self, matcher: BlipForImageTextRetrieval, batch: Batch
    ) -> tuple[Float[Tensor, "B E"], Float[Tensor, "B E"]]:
        """The embeddings of a batch's images and captions by the followed weights, of norm 1, fp32.

        The matcher lends its structure; its own weights are not used.
        """
        weights = {
            f"matcher.{name}": self.get_buffer(_stored(name)).to(parameter.dtype)
            for name, parameter in _followed(matcher)
        }
        images, texts = functional_call(_Embedder(matcher), weights, (batch,))
        return images.float(), texts.float()

    def queued(self) -> tuple[Float[Tensor, "Q E"], Float[Tensor, "Q E"], Bool[Tensor, " Q"]]:
        """The queue's embeddings of images and captions, and which places hold one."""
        there = torch.arange(len(self.images), device=self.images.device) < self.filled
        return self.images, self.texts, there

    @torch.no_grad()
    def enqueue(self, images: Float[Tensor, "G E"], texts: Float[Tensor, "G E"]) -> None:
        """Put the embeddings of a global batch into the queue in place of the oldest ones; every rank does the same."""
        size = len(self.images)
        if not size:
            return
        images, texts = images[-size:], texts[-size:]
        places = (torch.arange(len(images), device=images.device) + self.place.long()) % size
        self.images[places], self.texts[places] = images.float(), texts.float()
        self.place.fill_(float((int(self.place) + len(images)) % size))
        self.filled.add_(len(images)).clamp_(max=size)


class _Embedder(nn.Module):
    """Both embeddings of a batch, as one module that can be called with other weights."""

    def __init__(self, matcher: BlipForImageTextRetrieval) -> None:
        super().__init__()
        self.matcher = matcher

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        images = image_embeddings(self.matcher, image_tokens(self.matcher, batch.pixel_values))
        return images, text_embeddings(self.matcher, batch.input_ids, batch.attention_mask)


def _followed(matcher: BlipForImageTextRetrieval) -> list[tuple[str, nn.Parameter]]:
    return [
        (name, parameter)
        for name, parameter in matcher.named_parameters()
        if not any(part in name for part in GROUNDED)
    ]


def _stored(name: str) -> str:
    """A buffer's name, which may have no dots."""
    return "of_" + name.replace(".", "_")
