"""Embeddings of a gallery: its images and all their captions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data_filters.errors import InputError
from pretrain.evaluation.data.iteration import Progress, batches
from pretrain.evaluation.data.samples import Picture, SampleStream, in_words
from pretrain.evaluation.encoder import EMBEDDING, ExportedEncoder
from pretrain.evaluation.metrics.recall import ranks


@dataclass(frozen=True)
class GalleryTexts:
    """T captions of a gallery. `text_owner` is the number of each one's image, `skipped` counts samples by reason."""

    text_owner: Int[Tensor, " T"]
    captions: tuple[str, ...]
    skipped: dict[str, int]


@dataclass(frozen=True)
class Gallery(GalleryTexts):
    """I images and their T captions, each as one unit-length embedding."""

    images: Float[Tensor, "I D"]
    texts: Float[Tensor, "T D"]

    def scores_of_image(self, place: int) -> Float[Tensor, " T"]:
        """Cosine of one image with every caption."""
        return self.texts @ self.images[place]

    def scores_of_text(self, row: int) -> Float[Tensor, " I"]:
        """Cosine of one caption with every image."""
        return self.images @ self.texts[row]

    def ranks(self) -> tuple[Int[Tensor, " I"], Int[Tensor, " T"]]:
        """(ranks of images as queries, of captions as queries): `recall.ranks`."""
        image_owner = torch.arange(len(self.images))
        return (
            ranks(self.images, self.texts, image_owner, self.text_owner),
            ranks(self.texts, self.images, self.text_owner, image_owner),
        )


def embed_gallery(
    encoder: ExportedEncoder,
    data: str,
    *,
    size: int | None = None,
    batch_size: int = 64,
    progress: Progress | None = None,
    pooling: str = EMBEDDING,
) -> Gallery:
    """Embed, by a pooling, the first `size` readable images of the shards, in their order, or all, and their captions.

    Raises InputError when there is none, when there are fewer than `size`, or when embeddings are not finite.
    """
    images: list[Tensor] = []
    texts: list[Tensor] = []
    read = read_gallery(
        data,
        lambda pictures: images.append(encoder.embed_images([one.image for one in pictures], pooling)),
        lambda captions: texts.append(encoder.embed_texts(captions, pooling)),
        size=size,
        batch_size=batch_size,
        progress=progress,
    )
    result = Gallery(**vars(read), images=torch.cat(images), texts=torch.cat(texts))
    if not (result.images.isfinite().all() and result.texts.isfinite().all()):
        raise InputError(
            "the export's embeddings are not finite: its training diverged; export another checkpoint"
        )
    return result


def read_gallery(
    data: str,
    take_pictures: Callable[[list[Picture]], None],
    take_texts: Callable[[list[str]], None],
    *,
    size: int | None,
    batch_size: int,
    progress: Progress | None,
) -> GalleryTexts:
    """Hand on the first `size` readable images and all their captions, at most `batch_size` of either at once.

    Raises InputError for data with no image or with fewer than `size`.
    """
    stream = SampleStream(data)
    owners: list[int] = []
    captions: list[str] = []
    done = 0
    for batch in batches(islice(stream, size), batch_size):
        texts = [text for picture in batch for text in picture.captions]
        take_pictures(batch)
        for part in batches(texts, batch_size):
            take_texts(part)
        owners += [done + row for row, picture in enumerate(batch) for _ in picture.captions]
        captions += texts
        done += len(batch)
        if progress is not None:
            progress(done, size)
    if done == 0 or (size is not None and done < size):
        raise InputError(
            f"data {data!r} has {done} readable pairs (passed over: {in_words(stream.skipped)}), "
            f"gallery asks for {size or 'at least 1'}; give more data or a smaller gallery"
        )
    return GalleryTexts(torch.tensor(owners), tuple(captions), dict(stream.skipped))
