"""A gallery compared token by token: FILIP's late interaction (arXiv 2111.07783, eq. 3-5).

The two directions have a score each: s_image ranks texts for an image, the mean over its patches of the similarity with
the best word of the text; s_text ranks images for a text, the mean over its words of the best patch of the image.

Shapes: I images, T captions, P patches, L words, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pretrain.evaluation.data.gallery import GalleryTexts, read_gallery
from pretrain.evaluation.data.iteration import Progress
from pretrain.evaluation.data.samples import Picture
from pretrain.evaluation.data.token_file import TokenFile
from pretrain.evaluation.metrics.recall import TIE
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.evaluation.word_tokens import word_tokens
from pretrain.objectives.late_interaction import keep_best
from pretrain.objectives.shared.token_similarity import best_match, token_similarity

Tokens = tuple[Tensor, Tensor]
"""Tokens of some items [B, N, D], and which are real [B, N]."""


@dataclass(frozen=True)
class TokenGallery(GalleryTexts):
    """The tokens of I images and their T captions."""

    images: TokenFile
    texts: TokenFile
    device: torch.device
    chunk: int = 256  # images, and captions, per block

    def scores_of_image(self, place: int) -> Float[Tensor, " T"]:
        """s_image of one image with every caption."""
        patches = self._images([place])
        parts = [
            self.block_scores(patches, [place], self._texts(rows), rows)[0][0]
            for rows in self._blocks(len(self.texts))
        ]
        return torch.cat(parts)

    def scores_of_text(self, row: int) -> Float[Tensor, " I"]:
        """s_text of one caption with every image."""
        words = self._texts([row])
        parts = [
            self.block_scores(self._images(places), places, words, [row])[1][:, 0]
            for places in self._blocks(len(self.images))
        ]
        return torch.cat(parts)

    def block_scores(
        self, patches: Tokens, places: list[int], words: Tokens, rows: list[int]
    ) -> tuple[Float[Tensor, "i t"], Float[Tensor, "i t"]]:
        """(s_image, s_text) of the images at `places` with the captions at `rows`, whose tokens are given."""
        return token_scores(patches, words)

    def ranks(self) -> tuple[Int[Tensor, " I"], Int[Tensor, " T"]]:
        """(ranks of images as queries, of captions as queries), counted as `recall.ranks` counts them.

        Every block of images × captions is computed once for both directions, and only its counts are kept.
        """
        images, texts = len(self.images), len(self.texts)
        right_by_image, right_by_text = self.scores_of_pairs()
        best_right = torch.full((images,), -torch.inf)
        best_right = best_right.scatter_reduce(0, self.text_owner, right_by_image, "amax")
        image_ranks = torch.zeros(images, dtype=torch.long)
        text_ranks = torch.zeros(texts, dtype=torch.long)
        for places in self._blocks(images):
            patches = self._images(places)
            i = torch.tensor(places)
            for rows in self._blocks(texts):
                t = torch.tensor(rows)
                s_image, s_text = self.block_scores(patches, places, self._texts(rows), rows)
                wrong = i[:, None] != self.text_owner[t][None]
                image_ranks[i] += ((s_image >= best_right[i, None] - TIE) & wrong).sum(1)
                text_ranks[t] += ((s_text >= right_by_text[t][None] - TIE) & wrong).sum(0)
        return image_ranks, text_ranks

    def keep_best(self, share: float) -> TokenGallery:
        """The same items with that share of their tokens, those whose best match over the other side is highest.

        As `late_interaction_loss` chooses them in training, with the whole gallery in the place of the batch: a model
        that learned from its best tokens was not trained on patches of background. The choice does not use which
        caption belongs to which image.
        """
        images, texts = TokenFile(), TokenFile()
        for blocks, read, others, other_count, kept in (
            (self._blocks(len(self.images)), self._images, self._texts, len(self.texts), images),
            (self._blocks(len(self.texts)), self._texts, self._images, len(self.images), texts),
        ):
            for block in blocks:
                tokens, mask = read(block)
                best = torch.full(mask.shape, -torch.inf, device=mask.device)
                for against in self._blocks(other_count):
                    best = torch.maximum(best, best_match(tokens, *others(against)))
                kept.add(*keep_best(tokens, mask, best, share))
        return replace(self, images=images, texts=texts)

    def scores_of_pairs(self) -> tuple[Float[Tensor, " T"], Float[Tensor, " T"]]:
        """(s_image, s_text) of each caption with its own image."""
        by_image: list[Tensor] = []
        by_text: list[Tensor] = []
        for rows in self._blocks(len(self.texts)):
            words, word_mask = self._texts(rows)
            patches, patch_mask = self._images(self.text_owner[rows].tolist())
            similarities = torch.bmm(patches, words.mT)
            for scores, best, mask in (
                (by_image, similarities.masked_fill(~word_mask[:, None], -torch.inf).amax(2), patch_mask),
                (by_text, similarities.masked_fill(~patch_mask[..., None], -torch.inf).amax(1), word_mask),
            ):
                # Without a real token on one of the sides a pair scores 0, as in `token_similarity`.
                real = mask & (word_mask.any(1) & patch_mask.any(1))[:, None]
                scores.append((best.masked_fill(~real, 0).sum(1) / mask.sum(1).clamp(min=1)).cpu())
        return torch.cat(by_image), torch.cat(by_text)

    def _images(self, places: Sequence[int]) -> tuple[Tensor, Tensor]:
        return self.images.read(places, self.device)

    def _texts(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        return self.texts.read(rows, self.device)

    def _blocks(self, total: int) -> list[list[int]]:
        return [list(range(start, min(start + self.chunk, total))) for start in range(0, total, self.chunk)]


def embed_token_gallery(
    encoder: TokenEncoder,
    data: str,
    *,
    size: int | None = None,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> TokenGallery:
    """As `gallery.embed_gallery`, but patch and word tokens in place of one embedding each.

    Raises InputError as it does, and when tokens are not finite.
    """
    images, texts = TokenFile(), TokenFile()

    def take_pictures(pictures: list[Picture]) -> None:
        patches = encoder.patches(encoder.pixels([picture.image for picture in pictures]))
        images.add(patches, torch.ones(patches.shape[:2], dtype=torch.bool, device=patches.device))

    def take_texts(captions: list[str]) -> None:
        words = word_tokens(encoder, captions)
        texts.add(words.tokens, words.mask)

    read = read_gallery(data, take_pictures, take_texts, size=size, batch_size=batch_size, progress=progress)
    return TokenGallery(**vars(read), images=images, texts=texts, device=encoder.device)


def token_scores(images: Tokens, texts: Tokens) -> tuple[Float[Tensor, "I T"], Float[Tensor, "I T"]]:
    """(s_image, s_text) of tokens, on the CPU."""
    by_image, by_text = token_similarity(images[0], texts[0], images[1], texts[1])
    return by_image.cpu(), by_text.cpu()
