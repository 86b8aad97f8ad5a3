"""InfoNCE on channel-wise maxima of the tokens: our own auxiliary objective for small towers trained from scratch.

The global embedding of a Swin is the mean of its map: a small object changes it little, and the background that all
images share changes it much. In the maximum over cells (MAC: Tolias et al., 2016, eq. 1) an object of one cell counts
as much as one of ten cells, so a tower learns shapes from far fewer pairs. Once the tokens hold the shapes, the mean
over the tokens holds them too.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from pretrain.models.max_pooling import max_pooled
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
    """Return the symmetric InfoNCE loss of images and texts, each embedded as the channel-wise maximum of its tokens.

    The maxima are made unit length. `word_mask` is True at words, False at padding and special tokens; for a text
    without a word the maximum runs over all its tokens, padding included. The objective adds no parameter: it uses the
    projected tokens, in the same embedding space. `logit_scale` is the logarithm of the inverse temperature. Averaged
    over ranks it is the loss of the whole batch. Returns `max_pooled_loss` and the metric `max_pooled_accuracy`
    (computed as `contrastive_accuracy`).
    """
    contrastive = contrastive_loss(max_pooled(patches), max_pooled(words, word_mask), logit_scale)
    return {
        "max_pooled_loss": contrastive["contrastive_loss"],
        "max_pooled_accuracy": contrastive["contrastive_accuracy"],
    }


def _loss(inputs: ObjectiveInputs, _options: ObjectiveOptions) -> dict[str, Tensor]:
    features = inputs.features
    words = between_specials(features.attention_mask)
    return max_pooled_loss(features.patches, features.words, words, inputs.logit_scale)


MAX_POOLED = Objective(_loss, ObjectiveOptions)
