"""InfoNCE on the strongest tokens: an auxiliary objective of our own that teaches small towers from scratch sooner.

The global embedding of a Swin is the mean of its map: a small object moves it little, and the background that all
images share moves it much. In the maximum over cells (MAC: Tolias et al., 2016, eq. 1) an object of one cell counts
as much as one of ten, so that a tower learns shapes from far fewer pairs. The mean then finds them in the tokens.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from pretrain.objectives.contrastive import contrastive_loss
from pretrain.objectives.inputs import ObjectiveInputs
from pretrain.objectives.objective import Objective, ObjectiveOptions
from pretrain.shapley.games import between_specials


def max_pooled_loss(
    patches: Float[Tensor, "B C D"],
    words: Float[Tensor, "B L D"],
    word_mask: Bool[Tensor, "B L"],
    logit_scale: Float[Tensor, "1"],
) -> dict[str, Tensor]:
    """Symmetric InfoNCE of images and texts, each the channel-wise maximum of its tokens, made unit length.

    `word_mask` is True at words, False at padding and specials; a text without a word is left to its specials.
    Adds no parameter: the tokens are those of the two projections, and their embedding space is the same.
    Averaged over ranks it is the loss of the whole batch. Returns `max_pooled_loss` and the metric
    `max_pooled_accuracy`.
    """
    real = word_mask | ~word_mask.any(1, keepdim=True)
    lowest = torch.finfo(torch.float32).min
    images = F.normalize(patches.float().amax(1), dim=-1)
    texts = F.normalize(words.float().masked_fill(~real[..., None], lowest).amax(1), dim=-1)
    found = contrastive_loss(images, texts, logit_scale)
    return {
        "max_pooled_loss": found["contrastive_loss"],
        "max_pooled_accuracy": found["contrastive_accuracy"],
    }


def _loss(inputs: ObjectiveInputs, _options: ObjectiveOptions) -> dict[str, Tensor]:
    features = inputs.features
    words = between_specials(features.attention_mask)
    return max_pooled_loss(features.patches, features.words, words, inputs.logit_scale)


MAX_POOLED = Objective(_loss, ObjectiveOptions)
