"""Zero-shot retrieval: which caption belongs to an image, which image to a caption."""

from __future__ import annotations

import time
from typing import Any

from data_filters.errors import InputError
from pretrain.evaluation.data.gallery import Gallery, Progress, embed_gallery
from pretrain.evaluation.data.token_gallery import TokenGallery, embed_token_gallery
from pretrain.evaluation.encoder import ExportedEncoder
from pretrain.evaluation.metrics.recall import recall
from pretrain.evaluation.pictures.examples import retrieval_examples, write_examples
from pretrain.evaluation.results import claim_output, write_metrics
from pretrain.evaluation.token_encoder import TokenEncoder

SCORINGS = ("global", "late_interaction")


def evaluate_retrieval(
    export: str,
    data: str,
    output: str | None = None,
    *,
    gallery: int | None = None,
    batch_size: int = 64,
    device: str = "cpu",
    examples: int = 6,
    progress: Progress | None = None,
    scoring: str = "global",
    token_share: float = 1.0,
) -> dict[str, Any]:
    """R@1, R@5 and R@10 from image to text and from text to image, as fractions from 0 to 1.

    An image is found by any of its captions, each caption is a query of its own, ties go against the model
    (`recall.ranks`). With `gallery`, the first that many readable images, in the order of the shards.

    `scoring`: "global" compares an image and a text by the cosine of their two embeddings, "late_interaction" by the
    best match of every patch, or of every word, as a model trained with FILIP's loss is meant to be used
    (`token_gallery`). Either scores any export whose tokens are known, whatever it was trained with. `token_share`:
    late interaction of that share of each item's tokens, as the objective of that name was trained.

    With `output`, writes `metrics.json` there, and `examples.json` with thumbnails of `examples` queries each way,
    evenly spaced over the gallery, not chosen by their success.

    Raises InputError on a bad path or option, too small a gallery, or an output folder with other results.
    """
    began = time.perf_counter()
    if scoring not in SCORINGS:
        raise InputError(f"scoring is {scoring!r}; allowed are {', '.join(SCORINGS)}")
    if not 0 < token_share <= 1:
        raise InputError(f"token_share is {token_share}; allowed are shares above 0 up to 1")
    if scoring == "global" and token_share < 1:
        raise InputError(
            f"token_share is {token_share} with scoring 'global', which knows no tokens; set scoring=late_interaction"
        )
    identity = {"task": "retrieval", "export": export, "data": data, "gallery": gallery, "scoring": scoring}
    if scoring == "late_interaction":
        identity["token_share"] = token_share
    if output is not None:
        claim_output(output, identity)
    embedded: Gallery | TokenGallery
    if scoring == "global":
        embedded = embed_gallery(
            ExportedEncoder(export, device), data, size=gallery, batch_size=batch_size, progress=progress
        )
    else:
        embedded = embed_token_gallery(
            TokenEncoder(export, device), data, size=gallery, batch_size=batch_size, progress=progress
        )
        embedded = embedded if token_share == 1 else embedded.keep_best(token_share)
    of_images, of_texts = embedded.ranks()
    metrics = {
        **identity,
        "image_to_text": recall(of_images),
        "text_to_image": recall(of_texts),
        "images": len(embedded.images),
        "texts": len(embedded.texts),
        "skipped": embedded.skipped,
        "seconds": round(time.perf_counter() - began, 3),
    }
    if output is not None:
        write_examples(output, retrieval_examples(embedded, count=examples), data)
        write_metrics(output, metrics)
    return metrics
