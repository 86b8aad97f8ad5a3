"""Examples of a retrieval: queries evenly spaced over a gallery, with what was found and which was right."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from pipelines.common.files import write_json
from pretrain.evaluation.data.gallery import Gallery
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.data.token_gallery import TokenGallery
from pretrain.evaluation.pictures.examples import EXAMPLES, PICTURES, evenly_spaced

SHOWN = 5
THUMBNAIL = 160  # px, longer side


def retrieval_examples(gallery: Gallery | TokenGallery, *, count: int) -> dict[str, Any]:
    """{"text_to_image": [...], "image_to_text": [...]}: `count` queries each, images named by their number.

    A caption's entry: `caption`, `image` (the right one), `found` (the 5 best images, best first, with scores).
    An image's entry: `image`, `captions` (the right ones), `found` (the 5 best captions).
    """
    owner = gallery.text_owner.tolist()
    by_text = []
    for row in evenly_spaced(len(owner), count):
        best = _best(gallery.scores_of_text(row))
        hits = [{"image": place, "score": score} for place, score in best]
        by_text.append({"caption": gallery.captions[row], "image": owner[row], "found": hits})
    by_image = []
    for place in evenly_spaced(len(gallery.images), count):
        best = _best(gallery.scores_of_image(place))
        by_image.append(
            {
                "image": place,
                "captions": [
                    text for text, image in zip(gallery.captions, owner, strict=True) if image == place
                ],
                "found": [
                    {"caption": gallery.captions[row], "right": owner[row] == place, "score": score}
                    for row, score in best
                ],
            }
        )
    return {"text_to_image": by_text, "image_to_text": by_image}


def write_retrieval_examples(output: str, examples: dict[str, Any], data: str) -> None:
    """Write `examples.json`, and a thumbnail `examples/NUMBER.jpg` of each image that it names."""
    folder = Path(output) / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {entry["image"] for entries in examples.values() for entry in entries}
    wanted |= {hit["image"] for entry in examples["text_to_image"] for hit in entry["found"]}
    for place, picture in enumerate(islice(SampleStream(data), max(wanted, default=-1) + 1)):
        if place in wanted:
            image = picture.image.copy()
            image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
            image.save(folder / f"{place}.jpg", quality=85)
    write_json(Path(output) / EXAMPLES, examples, indent=2)


def _best(scores: Float[Tensor, " N"]) -> list[tuple[int, float]]:
    """(place, score) of the first `SHOWN` entries, best first; of equal scores the earlier."""
    order = scores.sort(descending=True, stable=True)
    return [
        (int(place), round(float(score), 4))
        for place, score in zip(order.indices[:SHOWN], order.values[:SHOWN], strict=True)
    ]
