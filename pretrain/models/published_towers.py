"""Published towers: one of their own, or a half of a whole CLIP or SigLIP; and the space that such a whole shares.

`name` is a local folder as transformers' `save_pretrained` writes it, or a hub name. A folder that a run stored
(`ARCHITECTURE` in it) gives a tower with random weights, for a checkpoint to be loaded. Weights are read as fp32.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from data_filters.errors import InputError
from pretrain.models.image_kinds import image_kind
from pretrain.models.text_kinds import text_kind

logger = logging.getLogger(__name__)

ARCHITECTURE = "architecture.json"
"""Name of the file with a published tower's architecture in the folder of a run (see `stored_parts`)."""
WHOLE = ("clip", "siglip")
"""Model types of whole dual encoders whose halves, projections and temperature are taken over."""
SHOWN = 3  # tensors that a message names

Half = Literal["vision_config", "text_config"]


@dataclass(frozen=True)
class PublishedSpace:
    """What a whole CLIP or SigLIP has beside its towers. A SigLIP has no projections, a CLIP has no bias."""

    visual_projection: Float[Tensor, "D W"] | None
    text_projection: Float[Tensor, "D W"] | None
    logit_scale: float
    """Logarithm of the inverse temperature."""
    logit_bias: float | None


# Any: JSON values.
def published_architecture(name: str, field: str) -> dict[str, Any]:
    """Return the architecture of the model at `name`, as JSON values; no weights are read.

    Raises InputError when it cannot be loaded; `field` is the recipe's key, for the message.
    """
    values: dict[str, Any] = json.loads(_config(name, field).to_json_string(use_diff=False))
    return values


def published_config(name: str, field: str, half: Half) -> PreTrainedConfig:
    """Return the config of the tower at `name`, with its `hidden_size`; no weights are read.

    Raises InputError when it cannot be loaded, or is of a kind that is not known; `field` is the recipe's key.
    """
    return _tower_config(_config(name, field), f"{field} {name!r}", half)


def published_tower(name: str, field: str, half: Half, locked: bool = False) -> PreTrainedModel:
    """Return the tower at `name`, in training mode; of a whole CLIP or SigLIP, that half.

    A warning names the parameters that the checkpoint lacks, which have random values. Raises InputError when it cannot
    be loaded, is of a kind that is not known, or lacks some and is `locked`: it would keep random values for ever.
    """
    config = published_config(name, field, half)
    if (Path(name) / ARCHITECTURE).is_file():
        stored: PreTrainedModel = _class_of(config)._from_config(config, dtype=torch.float32)
        return stored.train()
    with _quiet():
        try:
            loaded: Any = _class_of(config).from_pretrained(
                name, config=config, dtype=torch.float32, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise _not_found(name, field, error) from error
    tower, about = loaded
    missing = sorted({*about["missing_keys"], *(key for key, *_ in about["mismatched_keys"])})
    _say_missing(name, field, missing, locked)
    # `from_pretrained` returns a tower in evaluation mode: without its dropout and stochastic depth.
    trained: PreTrainedModel = tower.train()
    return trained


def published_space(name: str) -> PublishedSpace:
    """Read projections, temperature and bias of the whole CLIP or SigLIP at `name`. Raises InputError as above."""
    try:
        with _quiet():
            whole = AutoModel.from_pretrained(name, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _not_found(name, "model.pretrained", error) from error
    state = whole.state_dict()
    bias = state.get("logit_bias")
    return PublishedSpace(
        visual_projection=state.get("visual_projection.weight"),
        text_projection=state.get("text_projection.weight"),
        logit_scale=float(state["logit_scale"]),
        logit_bias=None if bias is None else float(bias),
    )


def space_width(name: str) -> int:
    """Return the width of the embedding space of the whole CLIP or SigLIP at `name`; no weights are read.

    Raises InputError when it cannot be loaded, is no such model, or its two halves embed in different widths.
    """
    config = _config(name, "model.pretrained")
    if config.model_type not in WHOLE:
        raise InputError(
            f"model.pretrained {name!r} is a {config.model_type}; allowed are whole dual encoders: {', '.join(WHOLE)}; "
            "give a single tower as model.image.pretrained or model.text.pretrained"
        )
    if config.model_type == "clip":
        return int(config.projection_dim)
    widths = config.vision_config.hidden_size, config.text_config.projection_size
    if widths[0] != widths[1]:
        raise InputError(
            f"model.pretrained {name!r} embeds images in {widths[0]} dimensions and texts in {widths[1]}; allowed are "
            "equal widths; give another checkpoint"
        )
    return int(widths[0])


def is_whole(name: str, field: str) -> bool:
    """Return whether a whole CLIP or SigLIP lies at `name`. Raises InputError when it cannot be loaded."""
    return _config(name, field).model_type in WHOLE


def tell_width(config: PreTrainedConfig) -> None:
    """Add `hidden_size`, the channels of the last map: a VisionTextDualEncoderModel asks for it. It is saved, too."""
    if not hasattr(config, "hidden_size") or config.model_type == "focalnet":
        config.update({"hidden_size": image_kind(config).width(config)})


def _config(name: str, field: str) -> PreTrainedConfig:
    """The config at `name`, or that of the architecture which a run stored there."""
    stored = Path(name) / ARCHITECTURE
    try:
        with _quiet():
            if stored.is_file():
                return AutoConfig.for_model(**json.loads(stored.read_text(encoding="utf-8")))
            config: PreTrainedConfig = AutoConfig.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise _not_found(name, field, error) from error
    return config


def _tower_config(config: PreTrainedConfig, what: str, half: Half) -> PreTrainedConfig:
    """The config itself, or of a whole model that of its half; checked to be of a known kind."""
    tower: PreTrainedConfig = getattr(config, half) if config.model_type in WHOLE else config
    if half == "vision_config":
        image_kind(tower, what)
        tell_width(tower)
    else:
        text_kind(tower, what)
    return tower


def _class_of(
    config: PreTrainedConfig,
) -> Any:  # Any: transformers' classes of models have no common constructor
    """The stock class of a tower. `AutoModel` does not list SigLIP's text tower."""
    if config.model_type == "siglip_text_model":
        from transformers import SiglipTextModel

        return SiglipTextModel
    return AutoModel._model_mapping[type(config)]


def _say_missing(name: str, field: str, missing: list[str], locked: bool) -> None:
    """Warn of parameters with random values, or raise InputError where they would keep them for ever."""
    if not missing:
        return
    some = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
    if locked:
        section = field.removesuffix(".pretrained")
        raise InputError(
            f"{field} {name!r} has no weights for {some}, and {section}.train.from_step null would keep random ones "
            f"for ever; set {section}.train.from_step to a step, or give a checkpoint that has them"
        )
    logger.warning("%s %s: %d tensors have random values (%s)", field, name, len(missing), some)


@contextmanager
def _quiet() -> Iterator[None]:
    """While open, transformers draws no bars and reports no tensors of the other half."""
    bars, verbosity = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def _not_found(name: str, field: str, error: Exception) -> InputError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return InputError(f"{field} is {name!r}: {reason}; give a local folder or a hub name")
