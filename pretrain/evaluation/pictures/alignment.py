"""One sample's alignment as pictures and an entry of `examples.json`: LOUPE's figures 4 and 5, FILIP's maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from pretrain.evaluation.data.phrase_objects import CaptionedImage
from pretrain.evaluation.localisation.alignment import (
    AlignmentSettings,
    RegionAlignment,
    WordMaps,
    semantic_pairs,
    token_interactions,
    word_maps,
)
from pretrain.evaluation.pictures.boxes import SIDE
from pretrain.evaluation.pictures.examples import PICTURES, DrawnExample
from pretrain.evaluation.pictures.heat import draw_heat
from pretrain.evaluation.pictures.numbered_boxes import draw_boxes, draw_cells
from pretrain.evaluation.token_encoder import TokenEncoder

MAP_SIDE = 224  # px, longer side of a map's picture


def show_alignment(
    encoder: TokenEncoder,
    place: int,
    sample: CaptionedImage,
    aligned: RegionAlignment,
    settings: AlignmentSettings,
    *,
    words: int,
    budget: int,
    chunk: int,
    folder: str,
) -> DrawnExample:
    """The sample's entry and its picture with numbered regions; its maps are written to `folder`.

    Maps of one kind share one scale: word-patch similarities from the least to the greatest of them; attributions from
    0, since cells with a negative value do not show the phrase.
    """
    game = token_interactions(encoder, sample, aligned, settings, budget, chunk)
    values = [
        {
            "interaction": float(game.interaction[0, row]),
            "interaction_error": float(game.interaction_error[0, row]),
            "value": float(game.value[0, row]),
            "value_error": float(game.value_error[0, row]),
        }
        for row in range(len(aligned.boxes))
    ]
    boxes = aligned.boxes_in(sample)
    regions = [
        {
            "box": box.round(1).tolist(),
            "confidence": round(float(confidence), 4),
            **{name: round(value, 5) for name, value in estimates.items()},
        }
        for box, confidence, estimates in zip(boxes, aligned.confidence, values, strict=True)
    ]
    labels = [f"{number}  {estimates['interaction']:+.2f}" for number, estimates in enumerate(values, 1)]
    maps_of_words = word_maps(encoder, sample, words)
    phrases = [phrase.text for phrase in aligned.phrases]
    entry = {
        "image": place,
        "key": sample.key,
        "caption": sample.caption,
        "phrases_from": sample.source,
        "regions": regions,
        "phrases": phrases,
        "matrix": _rounded((aligned.alignment * settings.scale).softmax(-1)),
        "alignment": _rounded(aligned.alignment),
        "semantic_interactions": _rounded(semantic_pairs(aligned, settings), 6),
        "picture": f"{PICTURES}/{place}.jpg",
        "maps": _write_maps(
            folder, place, sample, encoder.grid, phrases, aligned.attributions, maps_of_words
        ),
    }
    return entry, draw_boxes(sample.image, boxes, labels, SIDE)


def _write_maps(
    folder: str,
    place: int,
    sample: CaptionedImage,
    grid: tuple[int, int],
    phrases: Sequence[str],
    attributions: Float[np.ndarray, "N C"],
    words: WordMaps,
) -> list[dict[str, str]]:
    """Write a picture per phrase and word, and one of each patch's best word; returns text, kind and file of each."""
    image = sample.image
    pictures: list[tuple[str, str, Image.Image]] = []
    low, high = 0.0, float(attributions.max(initial=0))
    for text, values in zip(phrases, attributions, strict=True):
        pictures.append((text, "attribution", draw_heat(image, values.reshape(grid), (low, high), MAP_SIDE)))
    if words.texts:
        low, high = float(words.maps.min()), float(words.maps.max())
        legend = " · ".join(f"{number} {text}" for number, text in enumerate(words.texts, 1))
        best = draw_cells(image, words.best.reshape(grid), SIDE)
        pictures.append((legend, "best-word", best))
        for text, values in zip(words.texts, words.maps, strict=True):
            pictures.append(
                (text, "word-patch", draw_heat(image, values.reshape(grid), (low, high), MAP_SIDE))
            )
    target = Path(folder) / PICTURES
    target.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, (text, kind, picture) in enumerate(pictures, 1):
        name = f"{place}-{number}.jpg"
        picture.save(target / name, quality=88)
        entries.append({"text": text, "kind": kind, "picture": f"{PICTURES}/{name}"})
    return entries


def _rounded(values: torch.Tensor, digits: int = 4) -> list[list[float]]:
    return [[round(value, digits) for value in row] for row in values.tolist()]
