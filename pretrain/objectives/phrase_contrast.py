"""InfoNCE of phrases against images, each image judged by its best cell for the phrase. Our own objective.

L_FSA (LOUPE eq. 11) compares regions with the phrases of their own image; a caption with one phrase teaches it nothing.
Here a phrase has to find its image among those of the whole batch, and an image its phrase among those of all captions.
The place is searched anew for every pair of image and phrase: with the weights of a phrase's own image, texts could be
told apart without a look at the others.

Shapes: B pairs of this rank, G pairs of all ranks, K phrases of each, P slots for phrases, R cells, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from pretrain.objectives.inputs import ObjectiveInputs, ShapleyTargets
from pretrain.objectives.objective import Objective, ObjectiveOptions
from pretrain.objectives.shared.matching import partner_rows
from pretrain.objectives.shared.means import mean_of_real
from pretrain.objectives.shared.token_similarity import token_similarity
from pretrain.ranks import gather_with_gradient
from pretrain.regions.soft_mask import pool
from pretrain.shapley.normalise import row_distributions


@dataclass(frozen=True)
class PhraseTexts:
    """Targets of the supplier `phrase_texts`: K phrases of each caption, each encoded as a text, with gradient."""

    texts: Float[Tensor, "B K D"]
    """Unit length."""
    real: Bool[Tensor, "B K"]
    """Which of them are phrases; captions have fewer, or none."""
    content: Int[Tensor, "B K 2"]
    """Which tokens a phrase has, as a set of 128 bits: what a phrase says is part of what another says where its bits
    are. Two phrases of five tokens that differ in one are told apart in 99 of 100 cases."""
    mentioned: Int[Tensor, "B P 2"]
    """The same of all whole phrases of the caption; 0 in empty slots."""


class PhraseContrastOptions(ObjectiveOptions):
    """How many phrases are compared, and how a phrase is read.

    All phrases of a worker are encoded at once, however many micro-batches its pairs are encoded in.
    """

    phrases: int = Field(
        1, ge=1, description="phrases of each caption that are compared, drawn anew in each step"
    )
    longest: int = Field(12, ge=3, description="tokens of a phrase with [CLS] and [SEP]; the rest is cut")
    shortened: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the phrases of which only some words are compared, at least one, drawn anew in each step",
    )
    credit: Literal["best", "shapley"] = Field(
        "best",
        description="what of its own image a phrase is compared with: the best cell; or the regions by their Shapley "
        "targets for the phrase, where the supplier `shapley` has them (supervision.target: absence or ends)",
    )
    text: Literal["embedding", "max_pooled"] = Field(
        "embedding",
        description="embedding: the phrase's text embedding; max_pooled: the maximum over its words, as the objective "
        "max_pooled has it",
    )

    @property
    def also_needs(self) -> tuple[str, ...]:
        """Credit by Shapley targets takes the supplier of those."""
        return ("shapley",) if self.credit == "shapley" else ()


def phrase_contrast_loss(
    places: Float[Tensor, "B R D"],
    phrases: PhraseTexts,
    logit_scale: Float[Tensor, "1"],
    credited: tuple[Float[Tensor, "B K"], Bool[Tensor, "B K"]] | None = None,
) -> dict[str, Tensor]:
    """Return the symmetric InfoNCE loss of images and phrases over all ranks.

    The similarity of an image with a phrase is the largest inner product of the phrase with one of the image's
    `places`, which are unit length. A phrase's negatives are the images of whose captions no phrase has all its words;
    an image's negatives are the phrases of other images that no phrase of its own caption has all words of. The loss is
    the mean over the real phrases of both directions; averaged over ranks it is that of the whole batch. What is
    exchanged between ranks are phrases and similarities, no places. `credited` holds other similarities of this rank's
    phrases with their own images, and where they replace that of the best place; negatives keep theirs. Returns
    `phrase_contrast_loss` and the metric `phrase_contrast_accuracy` (share of phrases that find their image, and are
    found by it, first).
    """
    each = phrases.real.shape[1]
    columns, content = (gather_with_gradient(of).flatten(0, 1) for of in (phrases.texts, phrases.content))
    real = gather_with_gradient(phrases.real.long()).flatten().bool()
    _, similarity = token_similarity(
        places.to(columns.dtype),
        columns[:, None],
        torch.ones(places.shape[:2], dtype=torch.bool, device=places.device),
        real[:, None],
        direction="text",
    )
    logits = gather_with_gradient(logit_scale.float().exp() * similarity)
    mentioned = gather_with_gradient(phrases.mentioned)
    images = torch.arange(len(mentioned), device=real.device)
    owner = images.repeat_interleave(each)
    # Another image's caption may say as much, too; of the image's own phrases only one is asked for at a time.
    true = owner == images[:, None]
    for slot in mentioned.unbind(1):
        true = true | ((content & ~slot[:, None]) == 0).all(-1)
    lowest = torch.finfo(logits.dtype).min
    ours = partner_rows(places)
    mine = (ours[:, None] * each + torch.arange(each, device=ours.device)).flatten()
    own = logits[owner[mine], mine]
    if credited is not None:
        similar, replaced = credited
        own = torch.where(replaced.flatten(), logit_scale.float().exp() * similar.flatten(), own)
    others = logits.masked_fill(true | ~real, lowest)
    per_phrase = torch.cat([own[:, None], others[:, mine].T], 1)
    per_image = torch.cat([own[:, None], others[owner[mine]]], 1)
    losses = -(per_phrase.log_softmax(-1)[:, 0] + per_image.log_softmax(-1)[:, 0]) / 2
    with torch.no_grad():
        first = ((per_phrase.argmax(-1) == 0).float() + (per_image.argmax(-1) == 0).float()) / 2
    mask = phrases.real.flatten()
    return {
        "phrase_contrast_loss": mean_of_real(losses, mask),
        "phrase_contrast_accuracy": mean_of_real(first, mask),
    }


def credited_similarity(
    patches: Float[Tensor, "B C D"], phrases: PhraseTexts, targets: ShapleyTargets
) -> tuple[Float[Tensor, "B K"], Bool[Tensor, "B K"]]:
    """Return the mean of each phrase's inner products with its image's regions, weighted by its Shapley targets.

    A phrase's target for a region is what the region adds to the image's similarity with the phrase, normalised over
    the image's known regions. True in the second value where the phrase is real and some region is known. The gradient
    reaches texts and patch tokens, neither the weights nor the boxes.
    """
    added = targets.added
    assert added is not None
    texts = phrases.texts.float()
    owed = torch.einsum("bkd,bmd->bkm", texts.detach(), added.embeddings)
    shares = row_distributions(owed, phrases.real, added.known, added.rows)
    regions = pool(patches, targets.regions.soft_masks.detach()).float()
    similar = (torch.einsum("bkd,bmd->bkm", texts, regions) * shares).sum(-1)
    return similar, phrases.real & added.known.any(-1, keepdim=True)


def _loss(inputs: ObjectiveInputs, options: PhraseContrastOptions) -> dict[str, Tensor]:
    phrases = inputs.required_targets_of("phrase_texts", PhraseTexts)
    patches, credited = inputs.features.patches, None
    if options.credit == "shapley":
        targets = inputs.targets_of("shapley", ShapleyTargets)
        credited = None if targets is None else credited_similarity(patches, phrases, targets)
    return phrase_contrast_loss(patches, phrases, inputs.logit_scale, credited)


PHRASE_CONTRAST = Objective(_loss, PhraseContrastOptions, needs=("phrase_texts",), phrases=True)
