"""A gallery compared by embeddings and by phrases: every phrase of a caption has to be somewhere in the image.

The score of an image and a caption is the cosine of their embeddings plus the mean over the caption's phrases of the
best patch of the image, as phrase_contrast trains it. A caption without a phrase has its own words but function words.

Shapes: I images, T captions, D width.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from data_filters.sample import BrokenSample, Sample
from pretrain.data.samples.batch import Span
from pretrain.data.samples.phrases import phrase_spans
from pretrain.evaluation.data.gallery import read_gallery
from pretrain.evaluation.data.iteration import Progress
from pretrain.evaluation.data.phrase_objects import content_words, mention_spans
from pretrain.evaluation.data.samples import Picture
from pretrain.evaluation.data.token_file import TokenFile
from pretrain.evaluation.data.token_gallery import TokenGallery, Tokens, token_scores
from pretrain.evaluation.token_encoder import MAX_POOLED, TokenEncoder
from pretrain.models.max_pooling import max_pooled

MOST_PHRASES = 16  # of a caption


@dataclass(frozen=True, kw_only=True)
class PhraseGallery(TokenGallery):
    """Patch tokens of I images, phrases of T captions (in the place of words), and the embeddings of both."""

    image_embeddings: Float[Tensor, "I D"]
    text_embeddings: Float[Tensor, "T D"]

    def block_scores(
        self, patches: Tokens, places: list[int], phrases: Tokens, rows: list[int]
    ) -> tuple[Float[Tensor, "i t"], Float[Tensor, "i t"]]:
        """The same score in both directions."""
        _, by_phrases = token_scores(patches, phrases)
        scores = by_phrases + self.image_embeddings[places] @ self.text_embeddings[rows].T
        return scores, scores

    def scores_of_pairs(self) -> tuple[Float[Tensor, " T"], Float[Tensor, " T"]]:
        """The score of each caption with its own image, twice."""
        _, by_phrases = super().scores_of_pairs()
        scores = by_phrases + (self.image_embeddings[self.text_owner] * self.text_embeddings).sum(1)
        return scores, scores


def embed_phrase_gallery(
    encoder: TokenEncoder,
    data: str,
    *,
    size: int | None = None,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> PhraseGallery:
    """As `gallery.embed_gallery` by max pooling, with patches and phrases beside the embeddings.

    Raises InputError as it does, and when tokens are not finite.
    """
    images, phrases = TokenFile(), TokenFile()
    image_embeddings: list[Tensor] = []
    text_embeddings: list[Tensor] = []

    def take_pictures(pictures: list[Picture]) -> None:
        patches = encoder.patches(encoder.pixels([picture.image for picture in pictures]))
        images.add(patches, torch.ones(patches.shape[:2], dtype=torch.bool, device=patches.device))
        image_embeddings.append(max_pooled(patches).cpu())
        captions = [(picture, number) for picture in pictures for number in range(len(picture.captions))]
        parts = [[picture.captions[number], *phrases_of(picture, number)] for picture, number in captions]
        embedded = encoder.texts([text for part in parts for text in part], batch_size, MAX_POOLED)
        for own in embedded.split([len(part) for part in parts]):
            text_embeddings.append(own[:1].cpu())
            own = own[1:] if len(own) > 1 else own
            phrases.add(own[None], torch.ones(1, len(own), dtype=torch.bool, device=own.device))

    read = read_gallery(
        data, take_pictures, lambda captions: None, size=size, batch_size=batch_size, progress=progress
    )
    return PhraseGallery(
        **vars(read),
        images=images,
        texts=phrases,
        device=encoder.device,
        image_embeddings=torch.cat(image_embeddings),
        text_embeddings=torch.cat(text_embeddings),
    )


def phrases_of(picture: Picture, number: int) -> list[str]:
    """The phrases of caption `number`: of the first one those of curation, or else mentions; without any its words."""
    caption = picture.captions[number]
    spans: list[Span] = []
    if number == 0:
        with contextlib.suppress(ValueError):  # its phrases are not those of this caption
            spans = phrase_spans(Sample(picture.key, None, None, caption, picture.metadata))
        with contextlib.suppress(BrokenSample):  # nor are the mentions
            spans = spans or mention_spans(picture)
    return [caption[slice(*span)] for span in (spans or content_words(caption, MOST_PHRASES))[:MOST_PHRASES]]
