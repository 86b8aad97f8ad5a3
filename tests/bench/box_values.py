"""Compare values of a region (alone, interaction, value, absence): which of them ranks the true box highest.

python tests/bench/box_values.py RUN SHARDS [--scenes 80]

Every true box of icon-world scenes is scaled by several factors and shifted by half its width. The table has, per value
and size exponent, how often each scale has the highest value and how often the true box is above the shifted one. RUN
is the output folder of a training run.
"""

from __future__ import annotations

import argparse

import torch
from jaxtyping import Bool, Float
from shapley_scenes import Box, Scenes, load_encoder, load_scenes
from torch import Tensor

from pretrain.regions.soft_mask import hard_mask
from pretrain.shapley import TokenGame, absence, merged_interaction

SCALES = (0.35, 0.6, 0.8, 1.0, 1.25, 1.6, 2.4)
EXPONENTS = (0.0, 0.5, 0.75, 1.0, 1.2)


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
    game: TokenGame, regions: Bool[Tensor, "1 R C"], evaluations: int
) -> dict[str, Float[Tensor, " R"]]:
    """Value's name → that value of each region of one image."""
    nobody = torch.zeros_like(regions[:, :1])
    alone = game(torch.cat([nobody, regions], 1))
    shapley = merged_interaction(
        game, regions, game.player_mask, evaluations, torch.Generator().manual_seed(0)
    )
    return {
        "alone": (alone[:, 1:] - alone[:, :1])[0],
        "interaction": shapley.interaction[0].float(),
        "value": shapley.value[0].float(),
        "absence": absence(game, regions, game.player_mask)[0],
    }


def measure(scenes: Scenes, run: str, evaluations: int) -> None:
    """Print the table."""
    encoder = load_encoder(run)
    worth: dict[str, list[Tensor]] = {}
    cells = []
    for number, boxes in enumerate(scenes.boxes):
        row = slice(number, number + 1)
        inputs = (part[row] for part in scenes.inputs)
        game = TokenGame(encoder, *inputs, context="full_text")
        for box in boxes:
            regions = hard_mask(torch.tensor([variants(box)]), encoder.grid)
            cells.append(regions[0].sum(-1).float())
            for name, values in judge(game, regions, evaluations).items():
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
    chosen = parser.parse_args()
    grid = load_encoder(chosen.run).grid
    measure(load_scenes(chosen.run, chosen.shards, chosen.scenes, grid), chosen.run, chosen.evaluations)


if __name__ == "__main__":
    main()
