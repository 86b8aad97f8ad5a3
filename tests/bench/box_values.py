"""Compare values of a region (alone, interaction, value, absence, ends): which of them ranks the true box highest.

python tests/bench/box_values.py RUN SHARDS [--scenes 80] [--fill median] [--by phrase]

Every true box of icon-world scenes is scaled by several factors and shifted by half its width. The table has, per value
and size exponent, how often each scale has the highest value and how often the true box is above the shifted one. RUN
is the output folder of a training run. With --fill the game is one of pixels: boxes are exact and what is missing is
filled in; alone, absence and ends are compared then. With --by phrase a box's value is that for the phrase that
mentions its object, encoded as a text of its own, and objects that no phrase mentions are left out.
"""

from __future__ import annotations

import argparse

import torch
from jaxtyping import Float
from shapley_scenes import Box, Scenes, load_encoder, load_scenes
from torch import Tensor

from pretrain.models.dual_encoder import DualEncoder
from pretrain.regions.pixel_masks import FILLINGS, box_pixels
from pretrain.regions.soft_mask import hard_mask
from pretrain.shapley import PixelGame, TokenGame, embedding_ends, merged_interaction
from pretrain.shapley.absence import embedding_lost
from pretrain.shapley.games import Embed

SCALES = (0.35, 0.6, 0.8, 1.0, 1.25, 1.6, 2.4)
EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.2)


def variants(box: Box) -> list[Box]:
    """(centre x, centre y, width, height): the box at every scale, then as it is but half its width to the side."""
    x, y, width, height = box
    centre = x + width / 2
    aside = centre + (width / 2 if centre < 0.5 else -width / 2)
    return [
        *((centre, y + height / 2, width * scale, height * scale) for scale in SCALES),
        (aside, y + height / 2, width, height),
    ]


def judge(
    encoder: DualEncoder,
    game: TokenGame,
    boxes: Float[Tensor, "R 4"],
    text: Float[Tensor, " D"] | None,
    evaluations: int,
) -> tuple[dict[str, Float[Tensor, " R"]], Float[Tensor, " R"]]:
    """Value's name → that value of each box of one image, in cells, for its caption or a text; and the boxes' cells."""
    regions = hard_mask(boxes[None], encoder.grid)
    values = exact_values(
        game.image_embeddings, regions.float(), game.whole_text()[0] if text is None else text
    )
    if text is None:
        shapley = merged_interaction(
            game, regions, game.player_mask, evaluations, torch.Generator().manual_seed(0)
        )
        values |= {"interaction": shapley.interaction[0].float(), "value": shapley.value[0].float()}
    return values, regions[0].sum(-1).float()


def judge_pixels(
    encoder: DualEncoder,
    game: TokenGame,
    boxes: Float[Tensor, "R 4"],
    text: Float[Tensor, " D"] | None,
    fill: str,
) -> tuple[dict[str, Float[Tensor, " R"]], Float[Tensor, " R"]]:
    """The same in pixels, with something in the place of what is missing."""
    pixels = game.pixel_values
    height, width = pixels.shape[-2:]
    masks = box_pixels(boxes, (height, width))[None]
    embed = PixelGame(encoder, pixels, FILLINGS[fill](pixels)).embeddings
    values = exact_values(embed, masks, game.whole_text()[0] if text is None else text)
    return values, masks[0].flatten(1).mean(-1) * game.cells


def exact_values(
    embed: Embed, masks: Float[Tensor, "1 R ..."], text: Float[Tensor, " D"]
) -> dict[str, Tensor]:
    """The values that take no coalitions."""
    lost, both = embedding_lost(embed, masks)[0] @ text, embedding_ends(embed, masks)[0] @ text
    return {"alone": 2 * both - lost, "absence": lost, "ends": both}


def measure(scenes: Scenes, run: str, chosen: argparse.Namespace) -> None:
    """Print the table."""
    encoder = load_encoder(run)
    worth: dict[str, list[Tensor]] = {}
    cells = []
    for number, boxes in enumerate(scenes.boxes):
        row = slice(number, number + 1)
        game = TokenGame(encoder, *(part[row] for part in scenes.inputs), context="full_text")
        for place, box in enumerate(boxes):
            text = None
            if chosen.by == "phrase":
                ids = scenes.mentioned[number].get(place)
                if ids is None:
                    continue
                with torch.no_grad():
                    text = encoder.encode_text(ids, torch.ones_like(ids))[0][0]
            several = torch.tensor(variants(box))
            found, size = (
                judge(encoder, game, several, text, chosen.evaluations)
                if chosen.fill is None
                else judge_pixels(encoder, game, several, text, chosen.fill)
            )
            cells.append(size)
            for name, values in found.items():
                worth.setdefault(name, []).append(values)
    size = torch.stack(cells)
    true = SCALES.index(1.0)
    print(f"{len(size)} boxes in {len(scenes.boxes)} scenes; cells by scale: {told(size[:, :-1].mean(0), 1)}")
    for name, found in worth.items():
        for exponent in EXPONENTS:
            values = torch.stack(found) / size**exponent
            wins = torch.bincount(values[:, :-1].argmax(1), minlength=len(SCALES)) / len(values)
            better = (values[:, true] > values[:, -1]).float().mean()
            print(
                f"{name:11} exponent {exponent:4}: scale wins {told(wins, 2)}, true over shifted {better:.2f}"
            )


def told(values: Tensor, digits: int) -> str:
    """Numbers with the scale that they belong to."""
    return "  ".join(
        f"{scale:g}: {value:.{digits}f}" for scale, value in zip(SCALES, values.tolist(), strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("shards")
    parser.add_argument("--scenes", type=int, default=80)
    parser.add_argument("--evaluations", type=int, default=48)
    parser.add_argument(
        "--fill", choices=sorted(FILLINGS), help="what stands for what is missing; else: no embedding"
    )
    parser.add_argument("--by", choices=("caption", "phrase"), default="caption")
    chosen = parser.parse_args()
    grid = load_encoder(chosen.run).grid
    measure(load_scenes(chosen.run, chosen.shards, chosen.scenes, grid), chosen.run, chosen)


if __name__ == "__main__":
    main()
