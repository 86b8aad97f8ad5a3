"""The stock class of transformers that computes what a dual encoder computes, with its weights.

A `VisionTextDualEncoderModel` for two towers with projections; a `SiglipModel` for a whole SigLIP, which has none.
"""

from __future__ import annotations

from torch import Tensor
from transformers import (
    PreTrainedModel,
    SiglipConfig,
    SiglipModel,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
)

from pretrain.models.dual_encoder import DualEncoder


def stock_model(encoder: DualEncoder, projection_dim: int, logit_bias: Tensor | None) -> PreTrainedModel:
    """Build the stock model of a dual encoder; `logit_bias` [1] is that of a run with the objective `sigmoid`.

    Built new rather than around the run's own modules, so that a parity check compares two separate models. A
    `VisionTextDualEncoderModel` has no bias; a `SiglipModel` has one, 0 for a run that trains none.
    """
    weights = encoder.state_dict()
    shapes = encoder.vision_model.config, encoder.text_model.config
    if encoder.projects:
        config = VisionTextDualEncoderConfig.from_vision_text_configs(*shapes, projection_dim=projection_dim)
        model = VisionTextDualEncoderModel(config)
        weights["logit_scale"] = weights["logit_scale"][0]  # [1] in the run, without dimensions here
        model.load_state_dict(weights)
        return model
    siglip = SiglipModel(SiglipConfig(vision_config=shapes[0].to_dict(), text_config=shapes[1].to_dict()))
    weights["logit_bias"] = weights["logit_scale"].new_zeros(1) if logit_bias is None else logit_bias.float()
    siglip.load_state_dict(weights)
    return siglip
