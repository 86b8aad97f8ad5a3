"""Examples for UNSIL from icon-world scenes under a frozen encoder: exact, and sampled with few or many coalitions."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from shapley_scenes import Scenes, cells_of
from torch import Tensor

from pretrain.models.dual_encoder import DualEncoder
from pretrain.regions.soft_mask import pool
from pretrain.shapley import SemanticGame, TokenGame, merged_interaction, semantic_interactions
from pretrain.shapley.games import between_specials

REGIONS = 6
CAPTIONS = 8  # of each region: its own and others


@dataclass(frozen=True)
class Examples:
    """Inputs of a head and its targets."""

    inputs: tuple[Tensor, ...]
    interaction: Float[Tensor, "E ..."]
    real: Bool[Tensor, "E ..."]

    def some(self, rows: Tensor) -> "Examples":
        return Examples(tuple(part[rows] for part in self.inputs), self.interaction[rows], self.real[rows])


@dataclass(frozen=True)
class Tokens:
    """Scenes, and the encoder's features of the whole images."""

    patches: Float[Tensor, "B C D"]
    texts: Float[Tensor, "B D"]
    words: Float[Tensor, "B L D"]
    word_mask: Bool[Tensor, "B L"]


def encode(encoder: DualEncoder, scenes: Scenes) -> Tokens:
    encoder.eval()
    patches, texts, words = [], [], []
    with torch.no_grad():
        for part in torch.arange(len(scenes.pixel_values)).split(64):
            patches.append(encoder.encode_image(scenes.pixel_values[part])[1])
            text, word = encoder.encode_text(scenes.input_ids[part], scenes.attention_mask[part])
            texts.append(text)
            words.append(word)
    return Tokens(
        torch.cat(patches), torch.cat(texts), torch.cat(words), between_specials(scenes.attention_mask)
    )


class ManyCaptions:
    """A game whose image coalitions are embedded once, and valued by one caption after another."""

    def __init__(self, game: TokenGame) -> None:
        self.game, self.coalitions = game, torch.zeros(0)
        self.text = game.whole_text()

    def __call__(self, coalitions: Bool[Tensor, "B K P"]) -> Float[Tensor, "B K"]:
        if not torch.equal(self.coalitions, coalitions):
            self.coalitions, self.embedded = coalitions, self.game.image_embeddings(coalitions)
        return (self.embedded * self.text[:, None]).sum(-1)


def random_boxes(count: int, cells: int, generator: torch.Generator) -> Float[Tensor, "count 4"]:
    """(centre x, centre y, width, height), fractions; sides of 1 to 3 of `cells`, two cells or more together."""
    sides = torch.randint(1, 4, (count, 2), generator=generator)
    sides[sides.sum(1) == 2, 0] = 2
    corners = (torch.rand((count, 2), generator=generator) * (cells + 1 - sides)).long()
    return torch.cat([(corners + sides / 2) / cells, sides / cells], dim=1)


def draw_regions(
    encoder: DualEncoder, scenes: Scenes, count: int, generator: torch.Generator
) -> tuple[Int[Tensor, " E"], Float[Tensor, "E 4"]]:
    """Scenes drawn with replacement; every second region is an object's box, the others are random."""
    rows = torch.randint(len(scenes.boxes), (count,), generator=generator)
    boxes = random_boxes(count, encoder.grid[0], generator)
    for place in range(0, count, 2):
        found = scenes.boxes[int(rows[place])]
        x, y, width, height = found[int(torch.randint(len(found), (1,), generator=generator))]
        boxes[place] = torch.tensor([x + width / 2, y + height / 2, width, height])
    return rows, boxes


def semantic_examples(encoder: DualEncoder, scenes: Scenes, generator: torch.Generator) -> Examples:
    """The objects' boxes and random ones against the phrases that mention the objects; exact interactions."""
    tokens = encode(encoder, scenes)
    boxes = torch.stack([random_boxes(REGIONS, encoder.grid[0], generator) for _ in range(len(scenes.boxes))])
    for scene, found in enumerate(scenes.boxes):
        for place, (x, y, width, height) in enumerate(found[:REGIONS]):
            boxes[scene, place] = torch.tensor([x + width / 2, y + height / 2, width, height])
    regions = pool(tokens.patches, masks_of(boxes, encoder).float())
    spans = scenes.phrase_tokens.to(tokens.words.dtype)
    phrases = spans @ tokens.words / spans.sum(-1, keepdim=True).clamp(min=1)
    phrases = torch.nn.functional.normalize(phrases, dim=-1)
    phrase_mask = scenes.phrase_tokens.any(-1)
    region_mask = torch.ones(regions.shape[:2], dtype=torch.bool)
    interaction = semantic_interactions(regions @ phrases.mT, region_mask, phrase_mask, "zero")
    real = region_mask[:, :, None] & phrase_mask[:, None]
    return Examples((regions, phrases, region_mask, phrase_mask), interaction.float(), real)


def sampled_pairs(examples: Examples, coalitions: int, generator: torch.Generator) -> Float[Tensor, "E M N"]:
    """Interactions of all pairs, each from its own coalitions of the semantic game."""
    regions, phrases, region_mask, phrase_mask = examples.inputs
    game = SemanticGame(regions @ phrases.mT, region_mask, phrase_mask, "zero")
    count, others = regions.shape[1], phrases.shape[1]
    first = torch.eye(count, dtype=torch.bool).repeat_interleave(others, 0)
    second = torch.eye(others, dtype=torch.bool).repeat(count, 1)
    both = torch.cat([first, second], dim=1).expand(len(regions), -1, -1)
    both = both & examples.real.flatten(1)[..., None]
    found = merged_interaction(game, both, game.player_mask, 4 * coalitions, generator)
    return found.interaction.view(examples.real.shape).float()


def token_examples(
    encoder: DualEncoder,
    scenes: Scenes,
    tokens: Tokens,
    rows: Int[Tensor, " E"],
    boxes: Float[Tensor, "E 4"],
    coalitions: int,
    generator: torch.Generator,
) -> tuple[Examples, float]:
    """Pairs of a region and a caption, captions[0] the region's own; and the labels' relative standard error.

    The same coalitions of an image are valued by all of its captions: the forwards are those of one.
    """
    masks = masks_of(boxes[:, None], encoder)
    count = len(rows)
    others = torch.randint(len(scenes.boxes), (CAPTIONS - 1, count), generator=generator)
    captions = torch.cat([rows[None], others])
    interaction, error = torch.zeros(CAPTIONS, count), torch.zeros(CAPTIONS, count)
    sizes = masks.sum(-1)[:, 0]
    for size in sizes.unique().tolist():
        same = (sizes == size).nonzero()[:, 0]
        inputs = (part[rows[same]] for part in scenes.inputs)
        game = ManyCaptions(TokenGame(encoder, *inputs, context="full_text", chunk=64))
        seed = int(torch.randint(2**31, (), generator=generator))
        for place, caption in enumerate(captions):
            game.text = tokens.texts[caption[same]]
            draws = torch.Generator().manual_seed(seed)
            found = merged_interaction(
                game, masks[same], game.game.player_mask, coalitions * (size + 2), draws
            )
            interaction[place, same] = found.interaction[:, 0].float()
            error[place, same] = found.interaction_error[:, 0].float()
        assert game.game.forwards["image"] == len(same) * coalitions * (size + 2)
    ones = torch.ones(CAPTIONS * count, 1, dtype=torch.bool)
    inputs = (
        pool(tokens.patches[rows], masks.float()).repeat(CAPTIONS, 1, 1),
        boxes[:, None].repeat(CAPTIONS, 1, 1),
        ones,
        tokens.patches[rows].repeat(CAPTIONS, 1, 1),
        tokens.words[captions.flatten()],
        tokens.word_mask[captions.flatten()],
    )
    noise = error.square().mean().sqrt() / interaction.square().mean().sqrt()
    return Examples(inputs, interaction.view(-1, 1), ones), float(noise)


def masks_of(boxes: Float[Tensor, "B M 4"], encoder: DualEncoder) -> Bool[Tensor, "B M C"]:
    corners = torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., 2:]], dim=-1)
    return torch.stack(
        [torch.stack([cells_of(tuple(b), encoder.grid) for b in row]) for row in corners.tolist()]
    )
