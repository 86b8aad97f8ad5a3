"""Registries of box proposers, box embeddings and score calibrations.

A new method is a function and one line here.
"""

from __future__ import annotations

from data_filters.errors import InputError
from pretrain.evaluation.localisation.calibration import Calibration, by_cosine, by_prior, by_softmax
from pretrain.evaluation.localisation.candidates import Proposer
from pretrain.evaluation.localisation.occlusion import (
    PartEmbedding,
    embed_alone,
    embed_dropped,
    embed_ends,
    embed_patches,
)
from pretrain.evaluation.localisation.proposers import (
    propose_answers,
    propose_attribution,
    propose_clusters,
    propose_gradcam,
    propose_maskclip,
    propose_naclip,
    propose_pixel,
    propose_regions,
    propose_salient,
    propose_sclip,
)
from pretrain.evaluation.localisation.yardsticks.color_parts import propose_parts
from pretrain.evaluation.localisation.yardsticks.superpixels import propose_superpixels
from pretrain.evaluation.token_encoder import TokenEncoder

PROPOSERS: dict[str, Proposer] = {
    "regions": propose_regions,
    "answers": propose_answers,
    "pixel": propose_pixel,
    "kmeans": propose_clusters,
    "gradcam": propose_gradcam,
    "maskclip": propose_maskclip,
    "sclip": propose_sclip,
    "naclip": propose_naclip,
    "saliency": propose_salient,
    "parts": propose_parts,
    "superpixels": propose_superpixels,
    "attribution": propose_attribution,
}
"""Where boxes come from."""

EMBEDDINGS: dict[str, PartEmbedding] = {
    "alone": embed_alone,
    "dropped": embed_dropped,
    "ends": embed_ends,
    "patches": embed_patches,
}
"""What stands for a box when it is compared with a text."""

CALIBRATIONS: dict[str, Calibration] = {
    "cosine": by_cosine,
    "softmax": by_softmax,
    "prior": by_prior,
}
"""What makes scores of cosines, so that they can be compared between images."""

EVIDENCE = "evidence"
"""A further calibration, of the embedding "ends" alone: it takes a box's own cosines as well (`by_evidence`)."""


def choose_proposer(name: str | None, encoder: TokenEncoder) -> tuple[str, Proposer]:
    """(name, proposer); None chooses the region head where the export has one, else attribution.

    Raises InputError naming the known ones.
    """
    if name is None:
        name = "attribution" if encoder.region_generator is None else "regions"
    if name not in PROPOSERS:
        raise InputError(f"proposals is {name!r}; allowed are {', '.join(PROPOSERS)}")
    return name, PROPOSERS[name]
