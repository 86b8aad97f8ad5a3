"""Measure the error of sampled interactions by size of the region, relative to the paper's independent draws."""

import torch
from jaxtyping import Bool
from shapley_scenes import Scenes, cells_of
from torch import Tensor

from pretrain.models.dual_encoder import DualEncoder
from pretrain.shapley import TokenGame, merged_interaction, plain_interaction

GROUPS = {"2-3": (2, 3), "4": (4, 4), "6": (6, 6), "9-12": (9, 12)}  # cells, smallest and largest
BUDGETS = [96, 192, 384]  # evaluations per region


def quality_by_size(
    model: DualEncoder,
    scenes: Scenes,
    count: int,
    groups: list[str],
    least_runs: int,
    budgets: list[int],
    context: str = "full_text",
) -> str:
    """Ratios of standard deviations (both estimators are unbiased), `count` objects per group, one per scene.

    Ours: the variance over `least_runs` runs of the largest budget, one and two more of the smaller ones. The plain
    sampler: the square of its own standard error, unbiased since its draws are independent, from one run of the
    largest budget, and scaled to the others by their number of draws. The ratio is the root of the mean over
    regions of the ratio of variances; its standard error is over regions. Instability: E|I_u - I_v| / E|I_w|.
    """
    lines = [
        f"{count} regions a group, each of another scene, context {context}; ratio: ours over plain",
        "",
        "| cells | mean size | mean abs(I) | evaluations | plain: mean error | ours: mean error "
        "| ratio | standard error | plain: instability | ours: instability |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for group in groups:
        least, most = GROUPS[group]
        rows, masks = _regions(model, scenes, least, most, count)
        game = TokenGame(model, *(part[rows] for part in scenes.inputs), context=context, chunk=64)
        members = torch.zeros(len(rows), 1, game.player_mask.shape[1], dtype=torch.bool)
        members[:, 0, : game.cells] = masks
        size = masks.sum(-1)
        largest = max(budgets)
        generator = torch.Generator().manual_seed(0)
        usual = plain_interaction(game, members, game.player_mask, largest, generator)
        for runs, budget in enumerate(sorted(budgets, reverse=True), start=least_runs):
            found = torch.stack(
                [
                    merged_interaction(game, members, game.player_mask, budget, generator).interaction[:, 0]
                    for _ in range(runs)
                ]
            )
            step = 2 * (size + 1)
            scale = (largest // step).double() / (budget // step)
            plain = usual.interaction_error[:, 0].square() * scale
            ours = found.var(0)
            ratio = ours / plain
            middle = ratio.mean().sqrt()
            spread = ratio.std() / len(ratio) ** 0.5 / (2 * middle)
            worth = found.abs().mean()
            apart = (found[:, None] - found[None]).abs().sum((0, 1)).mean() / (runs * (runs - 1))
            normal = (2 / torch.pi) ** 0.5
            lines.append(
                f"| {group} | {size.double().mean():.1f} | {worth:.3f} | {budget} | {plain.sqrt().mean() * normal:.4f} "
                f"| {apart / 2**0.5:.4f} | **{middle:.2f}** | {spread:.2f} "
                f"| {plain.sqrt().mean() * normal * 2**0.5 / worth:.3f} | {apart / worth:.3f} |"
            )
            print(lines[-1], flush=True)
    return "\n".join(lines)


def _regions(
    model: DualEncoder, scenes: Scenes, least: int, most: int, count: int
) -> tuple[Tensor, Bool[Tensor, "R C"]]:
    """The first object of a fitting size of each of the first scenes that have one."""
    rows, masks = [], []
    for row, boxes in enumerate(scenes.boxes):
        fitting = [mask for box in boxes if least <= int((mask := cells_of(box, model.grid)).sum()) <= most]
        if fitting and len(rows) < count:
            rows.append(row)
            masks.append(fitting[0])
    return torch.tensor(rows), torch.stack(masks)
