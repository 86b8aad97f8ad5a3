"""A gallery compared token by token: FILIP's late interaction (arXiv 2111.07783, eq. 3-5).

The two directions are two matrices: an image looks for texts by s_image, the mean over its patches of the best word
of the text, a text for images by s_text, the mean over its words of the best patch of the image.

Shapes: I images, T captions, P patches, L words, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from pretrain.evaluation.data.gallery import GalleryTexts, Progress, read_gallery
from pretrain.evaluation.data.token_file import TokenFile
from pretrain.evaluation.metrics.recall import TIE
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.evaluation.word_tokens import word_tokens
from pretrain.objectives.late_interaction import keep_best
from pretrain.objectives.token_similarity import best_match, token_similarity


@dataclass(frozen=True)
class TokenGallery(GalleryTexts):
    """The tokens of I images and their T captions."""

    images: TokenFile
    texts: TokenFile
    device: torch.device
    chunk: int = 256  # images, and captions, of a block

    def scores_of_image(self, place: int) -> Float[Tensor, " T"]:
        """s_image of one image with every caption."""
        own = self.images.read([place], self.device)
        return torch.cat([_scores(own, self._texts(some))[0][0] for some in self._blocks(len(self.texts))])

    def scores_of_text(self, row: int) -> Float[Tensor, " I"]:
        """s_text of one caption with every image."""
        own = self.texts.read([row], self.device)
        parts = [_scores(self._images(some), own)[1][:, 0] for some in self._blocks(len(self.images))]
        return torch.cat(parts)

    def ranks(self) -> tuple[Int[Tensor, " I"], Int[Tensor, " T"]]:
        """(places of images as queries, of captions as queries), counted as `recall.ranks` counts them.

        Every block of images × captions is computed once for both ways, and only its counts are kept.
        """
        images, texts = len(self.images), len(self.texts)
        by_image, by_text = self._own_scores()
        best = torch.full((images,), -torch.inf).scatter_reduce(0, self.text_owner, by_image, "amax")
        image_places, text_places = (
            torch.zeros(images, dtype=torch.long),
            torch.zeros(texts, dtype=torch.long),
        )
        for own_images in self._blocks(images):
            pictured = self._images(own_images)
            i = torch.tensor(own_images)
            for own_texts in self._blocks(texts):
                t = torch.tensor(own_texts)
                s_image, s_text = _scores(pictured, self._texts(own_texts))
                wrong = i[:, None] != self.text_owner[t][None]
                image_places[i] += ((s_image >= best[i, None] - TIE) & wrong).sum(1)
                text_places[t] += ((s_text >= by_text[t][None] - TIE) & wrong).sum(0)
        return image_places, text_places

    def keep_best(self, share: float) -> TokenGallery:
        """The same items with that share of their tokens, those whose best match over the other side is highest.

        As `late_interaction_loss` chooses them in training, the whole gallery in the place of the batch: a model that
        learned from its best tokens has never been asked what a patch of background means. No pairing is looked at.
        """
        images, texts = TokenFile(), TokenFile()
        for blocks, read, others, other_count, kept in (
            (self._blocks(len(self.images)), self._images, self._texts, len(self.texts), images),
            (self._blocks(len(self.texts)), self._texts, self._images, len(self.images), texts),
        ):
            for some in blocks:
                tokens, mask = read(some)
                best = torch.full(mask.shape, -torch.inf, device=mask.device)
                for against in self._blocks(other_count):
                    best = torch.maximum(best, best_match(tokens, *others(against)))
                kept.add(*keep_best(tokens, mask, best, share))
        return replace(self, images=images, texts=texts)

    def _own_scores(self) -> tuple[Float[Tensor, " T"], Float[Tensor, " T"]]:
        """(s_image, s_text) of each caption with its own image."""
        found: tuple[list[Tensor], list[Tensor]] = ([], [])
        for some in self._blocks(len(self.texts)):
            words, word_mask = self._texts(some)
            patches, patch_mask = self._images(self.text_owner[some].tolist())
            alike = torch.bmm(patches, words.mT)
            for kept, best, mask in (
                (found[0], alike.masked_fill(~word_mask[:, None], -torch.inf).amax(2), patch_mask),
                (found[1], alike.masked_fill(~patch_mask[..., None], -torch.inf).amax(1), word_mask),
            ):
                # Without a real token on one of the sides a pair scores 0, as in `token_similarity`.
                real = mask & (word_mask.any(1) & patch_mask.any(1))[:, None]
                kept.append((best.masked_fill(~real, 0).sum(1) / mask.sum(1).clamp(min=1)).cpu())
        return torch.cat(found[0]), torch.cat(found[1])

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

    def take_images(pictures: list[Image.Image]) -> None:
        patches = encoder.patches(encoder.pixels(pictures))
        images.add(patches, torch.ones(patches.shape[:2], dtype=torch.bool, device=patches.device))

    def take_texts(captions: list[str]) -> None:
        found = word_tokens(encoder, captions)
        texts.add(found.tokens, found.mask)

    read = read_gallery(data, take_images, take_texts, size=size, batch_size=batch_size, progress=progress)
    return TokenGallery(**vars(read), images=images, texts=texts, device=encoder.device)


def _scores(images: tuple[Tensor, Tensor], texts: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """(s_image [I, T], s_text [I, T]) on the CPU."""
    both = token_similarity(images[0], texts[0], images[1], texts[1])
    return both[0].cpu(), both[1].cpu()
