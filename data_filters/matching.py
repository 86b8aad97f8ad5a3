"""BLIP's two scores of an image and a caption, composed of the parts of a stock model so that the image passes once.

Li et al. 2022, "BLIP", arXiv:2201.12086, section 3.2: the image-text contrastive score (ITC) is the cosine of two
embeddings; the image-text matching head (ITM) reads a caption that attends to the image. The model is transformers'
`BlipForImageTextRetrieval`, whose own `forward` gives one of the two scores, and ITC of all images with all captions.

Shapes: B pairs, N image tokens of width D, L text tokens, E values of an embedding.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from data_filters.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor
    from transformers import BlipForImageTextRetrieval

SETTINGS = "matching.json"
"""The file beside a model's weights that holds `MatchingSettings`."""
CLS = "[CLS]"
MATCH = 1  # of the matching head's two classes


@dataclass(frozen=True)
class MatchingSettings:
    """What a stock checkpoint does not hold.

    `first_token`: the token in place 0 of a caption that attends to the image. BLIP's pretraining puts `[ENC]` there;
    its published retrieval checkpoints are read with `[CLS]`. `temperature`: that of the contrastive loss; None where
    nobody has stored it.
    """

    first_token: str = CLS
    temperature: float | None = None


def read_settings(folder: str) -> MatchingSettings:
    """The settings beside a model; the defaults where there is no file. Raises InputError where it is damaged."""
    path = os.path.join(folder, SETTINGS)
    if not os.path.exists(path):
        return MatchingSettings()
    try:
        with open(path, encoding="utf-8") as file:
            stored = json.load(file)
        settings = MatchingSettings(stored["first_token"], stored["temperature"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read ({error!r}); export the model again, or remove it"
        ) from error
    temperature = settings.temperature
    is_number = isinstance(temperature, (int, float)) and math.isfinite(temperature) and temperature > 0
    if not isinstance(settings.first_token, str) or not (temperature is None or is_number):
        raise InputError(f"{path} holds {stored}; expected a token and a temperature above 0, or null")
    return settings


def write_settings(folder: str, settings: MatchingSettings) -> None:
    """Write the settings beside a model."""
    with open(os.path.join(folder, SETTINGS), "w", encoding="utf-8") as file:
        json.dump(asdict(settings), file, indent=1)
        file.write("\n")


def first_token_id(first_token: str, vocabulary: Mapping[str, int], refusal: str) -> int | None:
    """The number of `MatchingSettings.first_token`; None for [CLS], which the tokenizer puts there itself.

    Raises InputError with the text `refusal` when the vocabulary does not have it.
    """
    if first_token == CLS:
        return None
    if first_token not in vocabulary:
        raise InputError(refusal)
    return int(vocabulary[first_token])


def image_tokens(
    model: BlipForImageTextRetrieval, pixel_values: Float[Tensor, "B 3 H W"]
) -> Float[Tensor, "B N D"]:
    """The image encoder's tokens, the class token first."""
    tokens: Tensor = model.vision_model(pixel_values=pixel_values).last_hidden_state
    return tokens


def image_embeddings(
    model: BlipForImageTextRetrieval, tokens: Float[Tensor, "B N D"]
) -> Float[Tensor, "B E"]:
    """The images' embeddings of norm 1."""
    return F.normalize(model.vision_proj(tokens[:, 0]), dim=-1)


def text_embeddings(
    model: BlipForImageTextRetrieval, input_ids: Int[Tensor, "B L"], attention_mask: Int[Tensor, "B L"]
) -> Float[Tensor, "B E"]:
    """The captions' embeddings of norm 1, by the text encoder alone."""
    states = model.text_encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    return F.normalize(model.text_proj(states[:, 0]), dim=-1)


def matching_logits(
    model: BlipForImageTextRetrieval,
    tokens: Float[Tensor, "B N D"],
    input_ids: Int[Tensor, "B L"],
    attention_mask: Int[Tensor, "B L"],
    first_token_id: int | None = None,
) -> Float[Tensor, "B 2"]:
    """The matching head's logits of each image with the caption of its row; class MATCH is that they belong together.

    `first_token_id` replaces the token in place 0 of the captions (`MatchingSettings.first_token`).
    """
    if first_token_id is not None:
        input_ids = input_ids.clone()
        input_ids[:, 0] = first_token_id
    # Of the caption's type: the stock forward makes it on the CPU, wherever the image is.
    image_mask = torch.ones(tokens.shape[:2], dtype=torch.long, device=tokens.device)
    states = model.text_encoder(
        input_ids=input_ids,
        attention_mask=attention_mask,
        encoder_hidden_states=tokens,
        encoder_attention_mask=image_mask,
    ).last_hidden_state
    logits: Tensor = model.itm_head(states[:, 0])
    return logits


def matching_scores(
    model: BlipForImageTextRetrieval,
    pixel_values: Float[Tensor, "B 3 H W"],
    input_ids: Int[Tensor, "B L"],
    attention_mask: Int[Tensor, "B L"],
    first_token_id: int | None = None,
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """The cosine (ITC, -1 to 1) and the probability of a match (ITM, 0 to 1) of each pair; one pass of the image."""
    tokens = image_tokens(model, pixel_values)
    texts = text_embeddings(model, input_ids, attention_mask)
    itc = (image_embeddings(model, tokens) * texts).sum(-1)
    logits = matching_logits(model, tokens, input_ids, attention_mask, first_token_id)
    return itc, logits.float().softmax(-1)[:, MATCH]
