"""Games: the players, and the value of a coalition.

A game is called with boolean coalitions [B, K, P] (B games side by side, K coalitions of each, P players) and
returns their values [B, K]. Any such callable can be given to any estimator of this package.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from data_filters.errors import InputError
from pretrain.shapley.text_context import expected_text
from pretrain.shapley.undisturbed import undisturbed

CONTEXTS = ("players", "full_text")
"""What the words do in the token game: they play, or the caption stays whole."""
ABSENT = ("zero", "drop")
"""How an absent player leaves the semantic game: its representation is 0, or it leaves softmax and mean."""


Embed = Callable[[Tensor], Float[Tensor, "B K D"]]
"""Masks [B, K, ...] of what of each image is present, 0 to 1 → embeddings of K copies of it."""


class Game(Protocol):
    """Maps coalitions to their values: all that an estimator needs."""

    def __call__(self, coalitions: Bool[Tensor, "B K P"]) -> Float[Tensor, "B K"]:
        """The value of each coalition."""
        ...


@runtime_checkable
class AveragedGame(Game, Protocol):
    """A game that can average part of its players out of a coalition's value."""

    drawn: Bool[Tensor, " P"]  # the players that are not averaged out, which an estimator draws

    def can_average(self, regions: Bool[Tensor, "B R P"], others: Bool[Tensor, "B P"]) -> bool:
        """Whether the other players can be averaged out for these regions among these players."""
        ...

    def replicates(
        self,
        coalitions: Bool[Tensor, "B K P"],
        sizes: Int[Tensor, "B K"],
        others: Int[Tensor, "B K"],
        generator: torch.Generator,
    ) -> Float[Tensor, "G B K"]:
        """G independent estimates of the values of coalitions, averaged over all players not `drawn`."""
        ...


class DualEncoderLike(Protocol):
    """The part of a model that TokenGame uses, as `pretrain.models.dual_encoder.DualEncoder` has it."""

    grid: tuple[int, int]

    def encode_image(
        self, pixel_values: Float[Tensor, "B 3 H W"], keep: Float[Tensor, "B C"] | None = None
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B C D"]]:
        """Unit-length embeddings of masked images, and their patch tokens."""
        ...

    def encode_text(
        self,
        input_ids: Int[Tensor, "B L"],
        attention_mask: Int[Tensor, "B L"],
        keep: Float[Tensor, "B L"] | None = None,
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B L D"]]:
        """Unit-length embeddings of masked texts, and their word tokens."""
        ...


class TokenGame:
    """v1 (LOUPE section 3.2): the cosine of an image and its caption with the tokens outside the coalition zeroed.

    Players are the C cells of the image's last map, row by row, and then, with context="players", the L positions
    of the text. [CLS], [SEP] and padding never play and are never dropped; `player_mask` [B, P] is True for players.
    With context="full_text" the caption stays whole and only cells play.

    No gradient is recorded and the state of the model does not change (`undisturbed`). `chunk` is the number of masked
    inputs in one forward, which limits memory. `precision` (torch.bfloat16, torch.float16) runs the towers under
    autocast; with None the autocast around the call applies. Embeddings are kept and multiplied in float32.

    The value is an inner product of an image part and a text part: n_i image coalitions and n_t text coalitions
    cost n_i + n_t forwards and give all n_i * n_t values (`factorised`). `forwards` counts the masked inputs, images
    and texts, that a tower has encoded since the game was made.
    """

    def __init__(
        self,
        encoder: DualEncoderLike,
        pixel_values: Float[Tensor, "B 3 H W"],
        input_ids: Int[Tensor, "B L"],
        attention_mask: Int[Tensor, "B L"],
        *,
        word_mask: Bool[Tensor, "B L"] | None = None,
        context: str = "players",
        chunk: int = 256,
        precision: torch.dtype | None = None,
    ) -> None:
        if context not in CONTEXTS:
            raise InputError(f"context is {context!r}; allowed are {', '.join(map(repr, CONTEXTS))}")
        if chunk < 1:
            raise InputError(f"chunk is {chunk}; allowed are 1 and more masked inputs per forward")
        self.encoder = encoder
        self.pixel_values, self.input_ids, self.attention_mask = pixel_values, input_ids, attention_mask
        self.context, self.chunk, self.precision = context, chunk, precision
        self.cells = encoder.grid[0] * encoder.grid[1]
        self.word_mask = between_specials(attention_mask) if word_mask is None else word_mask.bool()
        cells_play = torch.ones(len(pixel_values), self.cells, dtype=torch.bool, device=pixel_values.device)
        parts = [cells_play] if context == "full_text" else [cells_play, self.word_mask]
        self.player_mask: Bool[Tensor, "B P"] = torch.cat(parts, dim=1)
        numbers = torch.arange(self.player_mask.shape[1], device=pixel_values.device)
        self.drawn: Bool[Tensor, " P"] = numbers < self.cells
        self.forwards = {"image": 0, "text": 0}
        self._whole_text: Tensor | None = None

    def __call__(self, coalitions: Bool[Tensor, "B K P"]) -> Float[Tensor, "B K"]:
        """Values of coalitions of cells and words: per pair K image forwards, and K text forwards where words play."""
        image = self.image_embeddings(coalitions[..., : self.cells])
        if self.context == "full_text":
            return (image * self.whole_text()[:, None]).sum(-1)
        return (image * self.text_embeddings(coalitions[..., self.cells :])).sum(-1)

    def factorised(
        self, image_coalitions: Bool[Tensor, "B I C"], text_coalitions: Bool[Tensor, "B T L"]
    ) -> Float[Tensor, "B I T"]:
        """Values of every image coalition with every text coalition: I + T forwards per pair."""
        return self.image_embeddings(image_coalitions) @ self.text_embeddings(text_coalitions).transpose(1, 2)

    def can_average(self, regions: Bool[Tensor, "B R P"], others: Bool[Tensor, "B P"]) -> bool:
        """Whether the words can be averaged out: no region holds a word, and every word plays."""
        words = others[:, self.cells :] == self.player_mask[:, self.cells :]
        return not bool(regions[..., self.cells :].any()) and bool(words.all())

    def replicates(
        self,
        coalitions: Bool[Tensor, "B K P"],
        sizes: Int[Tensor, "B K"],
        others: Int[Tensor, "B K"],
        generator: torch.Generator,
    ) -> Float[Tensor, "G B K"]:
        """G independent estimates of the values of image coalitions, averaged over the words that play with them.

        `sizes` is the number of cells in the coalition that others are added to, `others` the number of cells that
        could have been in it. The average is over the words of a coalition whose total size is uniform, given that
        `sizes` of its members are cells; see `text_context.py`. With context="full_text" it is the whole caption.
        """
        image = self.image_embeddings(coalitions[..., : self.cells])
        if self.context == "full_text":
            return (image * self.whole_text()[:, None]).sum(-1)[None]
        text = expected_text(self.text_embeddings, self.word_mask, sizes, others, generator)
        return torch.einsum("bkd,gbkd->gbk", image, text)

    def whole_text(self) -> Float[Tensor, "B D"]:
        """Embeddings of the whole captions."""
        if self._whole_text is None:
            all_words = torch.ones_like(self.word_mask)[:, None]
            self._whole_text = self.text_embeddings(all_words)[:, 0]
        return self._whole_text

    def image_embeddings(
        self, coalitions: Bool[Tensor, "B K C"] | Float[Tensor, "B K C"]
    ) -> Float[Tensor, "B K D"]:
        """Unit-length float32 embeddings of the images with only the cells of each coalition; 0 to 1: partly."""
        self.forwards["image"] += coalitions.shape[0] * coalitions.shape[1]

        def encode(rows: Tensor, keep: Tensor) -> Tensor:
            return self.encoder.encode_image(self.pixel_values[rows], keep)[0]

        return self._in_chunks(encode, coalitions)

    def text_embeddings(self, coalitions: Bool[Tensor, "B K L"]) -> Float[Tensor, "B K D"]:
        """Unit-length float32 embeddings of the texts with only the words of each coalition (and the specials)."""
        self.forwards["text"] += coalitions.shape[0] * coalitions.shape[1]

        def encode(rows: Tensor, keep: Tensor) -> Tensor:
            return self.encoder.encode_text(self.input_ids[rows], self.attention_mask[rows], keep)[0]

        return self._in_chunks(encode, coalitions | ~self.word_mask[:, None])

    def _autocast(self) -> torch.autocast:
        """Autocast to the game's precision, else the autocast that applies now.

        Without autocast's cache of converted weights: weights that are converted while no gradients are recorded have
        no gradient, and a training step in the same autocast region must not use them.
        """
        device = self.pixel_values.device.type
        if self.precision is not None:
            return torch.autocast(device, dtype=self.precision, cache_enabled=False)
        enabled, current = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
        return torch.autocast(device, dtype=current, enabled=enabled, cache_enabled=False)

    def _in_chunks(self, encode: "Encode", coalitions: Tensor) -> Float[Tensor, "B K D"]:
        batch, draws = coalitions.shape[:2]
        keep = coalitions.flatten(0, 1).to(self.pixel_values.dtype)
        rows = torch.arange(batch, device=coalitions.device).repeat_interleave(draws)
        with _guard(self.encoder), self._autocast():
            parts = [encode(r, k).float() for r, k in _split(rows, keep, self.chunk)]
        return torch.cat(parts).unflatten(0, (batch, draws))


class SemanticGame:
    """v2 (LOUPE section 3.3): the match of regions and phrases, as a game of M regions and then N phrases.

    The value is the row-softmax of the alignment A, the maximum per region, the mean over regions; the same from
    phrases to regions; the mean of the two. Regions and phrases outside their masks (padding) are not in the game.
    An absent player, with absent="zero", has a zero representation: its entries of A are 0 but still count in
    every softmax and mean, as in the paper. With absent="drop" it leaves the softmax and the mean; a side without
    a present player has value 0.
    """

    def __init__(
        self,
        alignment: Float[Tensor, "B M N"],
        region_mask: Bool[Tensor, "B M"] | None = None,
        phrase_mask: Bool[Tensor, "B N"] | None = None,
        absent: str = "zero",
    ) -> None:
        batch, regions, phrases = alignment.shape
        device = alignment.device
        self.alignment = alignment.detach()
        self.region_mask = mask_or_all(region_mask, batch, regions, device)
        self.phrase_mask = mask_or_all(phrase_mask, batch, phrases, device)
        self.absent = check_absent(absent)
        self.player_mask: Bool[Tensor, "B P"] = torch.cat([self.region_mask, self.phrase_mask], dim=1)

    def __call__(self, coalitions: Bool[Tensor, "B K P"]) -> Float[Tensor, "B K"]:
        """Values of coalitions over M + N players."""
        regions = self.alignment.shape[1]
        present_r = coalitions[..., :regions] & self.region_mask[:, None]
        present_p = coalitions[..., regions:] & self.phrase_mask[:, None]
        both = present_r[..., :, None] & present_p[..., None, :]
        rows = self._one_side(both, present_r, self.region_mask, self.phrase_mask, transpose=False)
        columns = self._one_side(both.mT, present_p, self.phrase_mask, self.region_mask, transpose=True)
        return (rows + columns) / 2

    def _one_side(
        self, both: Tensor, present: Tensor, row_mask: Tensor, column_mask: Tensor, *, transpose: bool
    ) -> Float[Tensor, "B K"]:
        alignment = (self.alignment.mT if transpose else self.alignment)[:, None]
        if self.absent == "zero":
            logits = (alignment * both).masked_fill(~column_mask[:, None, None, :], float("-inf"))
            counted = row_mask[:, None].expand_as(present)
        else:
            logits = alignment.expand(both.shape).masked_fill(~both, float("-inf"))
            counted = present
        # The softmax of a row of -inf alone is NaN: its value is 0.
        best = torch.softmax(logits, dim=-1).amax(-1).nan_to_num(0.0)
        return (best * counted).sum(-1) / counted.sum(-1).clamp(min=1)


class Encode(Protocol):
    """Encodes the inputs `rows` with the factors `keep`."""

    def __call__(self, rows: Int[Tensor, " n"], keep: Float[Tensor, "n N"]) -> Float[Tensor, "n D"]: ...


def between_specials(attention_mask: Int[Tensor, "B L"]) -> Bool[Tensor, "B L"]:
    """True at the words between [CLS] and [SEP]: the attended positions without the first and the last."""
    attended = attention_mask.bool()
    place = attended.cumsum(1)
    return attended & (place > 1) & (place < place[:, -1:])


def check_absent(absent: str) -> str:
    """Return `absent`; raise InputError when it is unknown."""
    if absent not in ABSENT:
        raise InputError(f"absent is {absent!r}; allowed are {', '.join(map(repr, ABSENT))}")
    return absent


def mask_or_all(mask: Tensor | None, batch: int, players: int, device: torch.device) -> Bool[Tensor, "B P"]:
    """The mask [batch, players] as booleans; all True where it is None."""
    return torch.ones(batch, players, dtype=torch.bool, device=device) if mask is None else mask.bool()


def _split(rows: Tensor, keep: Tensor, chunk: int) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(rows.split(chunk), keep.split(chunk), strict=True)


def _guard(encoder: object) -> AbstractContextManager[None]:
    return undisturbed(encoder) if isinstance(encoder, nn.Module) else torch.no_grad()
