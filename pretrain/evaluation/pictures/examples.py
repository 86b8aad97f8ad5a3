"""Retrievals to look at: queries evenly spaced over a gallery, with what was found and which was right."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from pretrain.evaluation.data.gallery import Gallery
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.data.token_gallery import TokenGallery
from pretrain.evaluation.results import write_json

EXAMPLES = "examples.json"
PICTURES = "examples"
SHOWN = 5
THUMBNAIL = 160  # px, longer side


def retrieval_examples(gallery: Gallery | TokenGallery, *, count: int) -> dict[str, Any]:
    """{"text_to_image": [...], "image_to_text": [...]}: `count` queries each, images named by their place.

    A caption's entry: `caption`, `image` (the right one), `found` (the 5 best images, best first, with scores).
    An image's entry: `image`, `captions` (the right ones), `found` (the 5 best captions).
    """
    owner = gallery.text_owner.tolist()
    by_text = []
    for row in _spaced(len(owner), count):
        hits = _best(gallery.scores_of_text(row))
        found = [{"image": place, "score": score} for place, score in hits]
        by_text.append({"caption": gallery.captions[row], "image": owner[row], "found": found})
    by_image = []
    for place in _spaced(len(gallery.images), count):
        scores = gallery.scores_of_image(place)
        by_image.append(
            {
                "image": place,
                "captions": [text for text, own in zip(gallery.captions, owner, strict=True) if own == place],
                "found": [
                    {"caption": gallery.captions[row], "right": owner[row] == place, "score": score}
                    for row, score in _best(scores)
                ],
            }
        )
    return {"text_to_image": by_text, "image_to_text": by_image}


def write_examples(output: str, examples: dict[str, Any], data: str) -> None:
    """Write `examples.json`, and `examples/PLACE.jpg` for each image that it names."""
    folder = Path(output) / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {entry["image"] for way in examples.values() for entry in way}
    wanted |= {hit["image"] for entry in examples["text_to_image"] for hit in entry["found"]}
    for place, picture in enumerate(islice(SampleStream(data), max(wanted, default=-1) + 1)):
        if place in wanted:
            image = picture.image.copy()
            image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
            image.save(folder / f"{place}.jpg", quality=85)
    write_json(Path(output) / EXAMPLES, examples)


def read_examples(output: str) -> dict[str, Any] | None:
    """The examples that an evaluation left, or None."""
    file = Path(output) / EXAMPLES
    return json.loads(file.read_bytes()) if file.is_file() else None


def _spaced(total: int, count: int) -> list[int]:
    count = min(count, total)
    return [total * number // count for number in range(count)]


def _best(scores: Tensor) -> list[tuple[int, float]]:
    """The first `SHOWN` entries, best first; of equal scores the earlier."""
    order = scores.sort(descending=True, stable=True)
    return [
        (int(place), round(float(score), 4))
        for place, score in zip(order.indices[:SHOWN], order.values[:SHOWN], strict=True)
    ]
