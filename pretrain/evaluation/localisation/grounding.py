"""The box of an image that a text means."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pretrain.evaluation.localisation.box_embeddings import embed_boxes
from pretrain.evaluation.localisation.candidates import Proposer
from pretrain.evaluation.localisation.judge import CONTRIBUTIONS, PLAIN, Judge
from pretrain.evaluation.localisation.proposal_options import ProposalOptions
from pretrain.evaluation.token_encoder import TokenEncoder

FLOOR = 0.05
"""Added to what a box contributes to a cosine. Chosen on training scenes of the icon world; 0.05 to 0.4 are alike."""


def ground(
    encoder: TokenEncoder,
    proposer: Proposer,
    pixels: Float[Tensor, "1 3 H W"],
    texts: Float[Tensor, "N D"],
    options: ProposalOptions,
    judge: Judge = PLAIN,
) -> Float[Tensor, "N 4"]:
    """The best box of each text: of several candidates the one whose embedding is nearest to the text.

    With the judge's embeddings "dropped" and "ends", which have the length of what a box contributes, the score is
    (value + `FLOOR`) × the proposer's own confidence in the box, where a negative value counts as 0. So the confidence
    decides where the text says nothing of any box.
    """
    candidates = proposer(encoder, pixels, texts, options, 1)
    if candidates.boxes.shape[1] == 1:
        return candidates.boxes[:, 0].expand(len(texts), 4)
    boxes = candidates.boxes.flatten(0, 1)
    scores = texts @ embed_boxes(encoder, pixels, boxes, judge, options.chunk).T
    if judge.embedding in CONTRIBUTIONS:
        scores = (scores.clamp(min=0) + FLOOR) * candidates.confidence.flatten()
    scores = scores.unflatten(1, candidates.real.shape).masked_fill(~candidates.real, -torch.inf)
    # Row of each text's candidates: its own, or the one row that all texts share.
    shared = len(candidates.boxes) == 1
    rows = torch.zeros(len(texts), dtype=torch.long) if shared else torch.arange(len(texts))
    rows = rows.to(boxes.device)
    scores_of_text = scores[torch.arange(len(texts), device=boxes.device), rows]
    return candidates.boxes[rows, scores_of_text.argmax(-1)]
