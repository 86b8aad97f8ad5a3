"""Measure the errors of the Shapley estimates, as Markdown tables and a plot:

    python tests/bench/shapley.py quality|instability|attribution|speed [--run RUN --data SHARDS] [--output DIR]
    python tests/bench/shapley.py separation|sizes --run RUN --data SHARDS [--scenes N] [--budget N]

quality       error at equal evaluations: the paper's independent draws, shared draws, ours without and with spreading
instability   the paper's figure 3: disagreement of repeated estimates against the number of coalitions sampled
attribution   error of all players' values at equal evaluations, beside shapiq's estimators
speed         exact semantic interactions, one core
sizes         ratio of our error to the plain one by size of region, on a trained model
separation    which target tells an object from background, a shifted and a larger box on an icon-world model

Without --run the games are enumerable: a random attention network on 14 masked tokens (cosine, as v1), and random
polynomials of 14 players. With --run they are image-caption pairs of SHARDS (an icon-world split), and the truth is a
mean of long estimates whose own standard error is printed.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).parent))

from shapley_plot import plot
from shapley_scenes import Scenes, load_encoder, load_scenes, object_separation
from shapley_sizes import BUDGETS, GROUPS, quality_by_size

from pretrain.models.dual_encoder import DualEncoder
from pretrain.shapley import (
    TokenGame,
    attribute,
    merged_interaction,
    plain_interaction,
    semantic_interactions,
)
from pretrain.shapley.sampled import MergedEstimate

Sampler = Callable[..., MergedEstimate]
SAMPLERS: dict[str, Sampler] = {
    "independent draws (paper)": plain_interaction,
    "shared draws": lambda *args: plain_interaction(*args, shared=True),
    "shared, antithetic, stratified": lambda *args: merged_interaction(*args, candidates=1),
    "the same, spread (default)": merged_interaction,
}
PLAYERS = 14


class Enumerable:
    """Games given by all 2^14 values, all with the same region of four players."""

    def __init__(self, tables: list[np.ndarray]) -> None:
        self.values = torch.from_numpy(np.stack(tables))
        self.items = len(tables)
        self.size = 4

    def truth(self) -> Tensor:
        """Exactly, from the definition: the region against every coalition of the ten others."""
        low = 2**self.size
        table = self.values.view(self.items, -1, low)  # [games, coalitions of others, coalitions of members]
        alone = sum(table[..., 2**member] for member in range(self.size))
        gain = table[..., low - 1] - alone + (self.size - 1) * table[..., 0]
        others = PLAYERS - self.size
        count = [bin(number).count("1") for number in range(2**others)]
        weight = torch.tensor([1 / (others + 1) / math.comb(others, c) for c in count], dtype=torch.float64)
        return gain @ weight

    def estimate(self, sample: Sampler, budget: int, runs: int, seed: int) -> Tensor:
        """Estimates [runs, items]."""
        table = self.values.repeat(runs, 1)

        def game(coalitions: Tensor) -> Tensor:
            return table.gather(1, (coalitions.long() * 2 ** torch.arange(PLAYERS)).sum(-1))

        members = (torch.arange(PLAYERS) < self.size).expand(len(table), 1, PLAYERS)
        everyone = torch.ones(len(table), PLAYERS, dtype=torch.bool)
        found = sample(game, members, everyone, budget, torch.Generator().manual_seed(seed))
        return found.interaction[:, 0].view(runs, self.items)


class Trained:
    """Image-caption pairs under a trained encoder; the region is the pair's first object."""

    def __init__(self, encoder: DualEncoder, scenes: Scenes, context: str) -> None:
        self.encoder, self.scenes, self.context = encoder, scenes, context
        self.items = len(scenes.pixel_values)
        self.regions = scenes.first_objects(encoder.grid)
        self.size = int(self.regions.sum(-1).float().median())

    def truth(self) -> Tensor:
        runs = self.estimate(merged_interaction, 768, 4, 999)
        error = runs.std(0) / 2
        print(
            f"\nTruth: 4 x 768 evaluations each, relative standard error {relative(error, runs.mean(0)):.3f}.\n"
        )
        return runs.mean(0)

    def estimate(self, sample: Sampler, budget: int, runs: int, seed: int) -> Tensor:
        """Estimates [runs, items]."""
        game = TokenGame(self.encoder, *self.scenes.inputs, context=self.context, chunk=512)
        shape = (self.items, 1, game.player_mask.shape[1])
        members = torch.zeros(shape, dtype=torch.bool)
        members[..., : game.cells] = self.regions[:, None]
        estimates = []
        for run in range(runs):
            generator = torch.Generator().manual_seed(seed * 1000 + run)
            found = sample(game, members, game.player_mask, budget, generator)
            estimates.append(found.interaction[:, 0])
        return torch.stack(estimates)


def attention_game(seed: int) -> np.ndarray:
    """Cosine of a fixed vector with a two-layer attention network's pooled output on 14 masked tokens."""
    generator = torch.Generator().manual_seed(seed)
    width = 16

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    tokens, places, goal = draw(PLAYERS, width), 0.3 * draw(PLAYERS, width), draw(width)
    layers = [tuple(draw(width, width) / width**0.5 for _ in range(3)) for _ in range(2)]
    keep = ((torch.arange(2**PLAYERS)[:, None] >> torch.arange(PLAYERS)) & 1).double()
    hidden = tokens * keep[..., None] + places
    for key, value, mix in layers:
        attention = torch.softmax((hidden @ key) @ hidden.mT / width**0.5, dim=-1)
        hidden = torch.nn.functional.layer_norm(hidden + attention @ hidden @ value, (width,))
        hidden = hidden + torch.nn.functional.gelu(hidden @ mix)
    return torch.nn.functional.cosine_similarity(hidden.mean(1), goal[None]).numpy()


def polynomial_game(seed: int) -> np.ndarray:
    """60 products of one to five players with normal coefficients."""
    rng = np.random.default_rng(seed)
    keep = ((np.arange(2**PLAYERS)[:, None] >> np.arange(PLAYERS)) & 1).astype(float)
    values = np.zeros(2**PLAYERS)
    for _ in range(60):
        values += rng.normal() * keep[:, rng.choice(PLAYERS, rng.integers(1, 6), replace=False)].prod(1)
    return values


def relative(error: Tensor, truth: Tensor) -> float:
    return float(error.abs().mean() / truth.abs().mean())


def quality(games: dict[str, Enumerable | Trained], runs: int) -> None:
    """Mean absolute error over mean absolute interaction."""
    budgets = (96, 192, 384)
    for name, game in games.items():
        truth = game.truth()
        print(f"\n**{name}**: {game.items} games, {runs} runs\n")
        print("| sampler | " + " | ".join(f"{budget} evaluations" for budget in budgets) + " |")
        print("|---|" + "--:|" * len(budgets))
        for sampler, sample in SAMPLERS.items():
            errors = [relative(game.estimate(sample, b, runs, b) - truth, truth) for b in budgets]
            print(f"| {sampler} | " + " | ".join(f"{error:.3f}" for error in errors) + " |", flush=True)


def instability(games: dict[str, Enumerable | Trained], runs: int, output: Path, largest: int) -> None:
    """E_{u≠v} |I_u - I_v| / E_w |I_w| over runs u, v, w (Zhang et al. 2021; LOUPE figure 3), pooled over games."""
    samples = [n for n in (10, 25, 50, 100, 150, 200, 250, 500, 1000) if n <= largest]
    for name, game in games.items():
        curves: dict[str, list[tuple[float, float]]] = {}
        print(f"\n**{name}**: {game.items} games, {runs} runs, region of {game.size}\n")
        print("| samples (coalitions T per term) | " + " | ".join(map(str, samples)) + " |")
        print("|---|" + "--:|" * len(samples))
        for sampler in ("independent draws (paper)", "shared draws", "the same, spread (default)"):
            cost = 2 * (game.size + 1) if sampler.startswith("independent") else game.size + 2
            row = []
            for count in samples:
                found = game.estimate(SAMPLERS[sampler], count * cost, runs, count)
                apart = (found[:, None] - found[None]).abs().sum((0, 1)) / (runs * (runs - 1))
                row.append(float(apart.mean() / found.abs().mean()))
            curves[sampler] = list(zip(map(float, samples), row, strict=True))
            cells = " | ".join(f"{value:.3f}" for value in row)
            print(
                f"| {sampler.replace('the same', 'ours')}, {cost} evaluations per sample | {cells} |",
                flush=True,
            )
        output.mkdir(parents=True, exist_ok=True)
        path = output / f"instability-{name.split(',')[0].replace(' ', '-')}.svg"
        path.write_text(plot(curves, "samples", "instability"), encoding="utf-8")
        print(f"\nPlot: {path.name}")


def attribution() -> None:
    """Mean absolute error of all values over their mean size, beside shapiq's samplers."""
    import shapiq

    tables = [attention_game(seed) for seed in range(6)]
    powers = 2 ** torch.arange(PLAYERS)
    budgets, runs = (64, 128, 256, 512), 20

    def exact(table: np.ndarray) -> np.ndarray:
        game = torch.from_numpy(table)
        found = attribute(
            lambda c: game[(c.long() * powers).sum(-1)][..., None],
            torch.ones(1, PLAYERS, dtype=torch.bool),
            2**PLAYERS,
            torch.Generator().manual_seed(0),
        )
        return found.values[0, 0].numpy()

    truths = [exact(table) for table in tables]
    size = np.abs(truths).mean()

    def ours(candidates: int, budget: int) -> float:
        errors = []
        for table, truth in zip(tables, truths, strict=True):
            game = torch.from_numpy(table)
            found = attribute(
                lambda c, game=game: game[(c.long() * powers).sum(-1)][..., None],
                torch.ones(runs, PLAYERS, dtype=torch.bool),
                budget,
                torch.Generator().manual_seed(budget),
                candidates=candidates,
            )
            errors.append(np.abs(found.values[:, 0].numpy() - truth).mean())
        return float(np.mean(errors) / size)

    def theirs(make: Callable[[int], object], budget: int) -> float:
        errors = []
        for table, truth in zip(tables, truths, strict=True):
            for run in range(runs):
                found = make(run).approximate(  # type: ignore[attr-defined]
                    budget=budget,
                    game=lambda m, t=table: t[
                        (np.atleast_2d(m).astype(int) * 2 ** np.arange(PLAYERS)).sum(-1)
                    ],
                )
                errors.append(np.abs([found[(p,)] - truth[p] for p in range(PLAYERS)]).mean())
        return float(np.mean(errors) / size)

    rows = {
        "ours: pairs, stratified sizes, spread": lambda b: ours(8, b),
        "ours without spreading": lambda b: ours(1, b),
        "shapiq KernelSHAP, paired": lambda b: theirs(
            lambda run: shapiq.KernelSHAP(PLAYERS, pairing_trick=True, random_state=run), b
        ),
        "shapiq SVARM": lambda b: theirs(lambda run: shapiq.SVARM(PLAYERS, random_state=run), b),
        "shapiq permutations": lambda b: theirs(
            lambda run: shapiq.PermutationSamplingSV(PLAYERS, random_state=run), b
        ),
    }
    print(f"\n**random attention, values of all {PLAYERS} players**: 6 games, {runs} runs\n")
    print("| estimator | " + " | ".join(f"{budget} evaluations" for budget in budgets) + " |")
    print("|---|" + "--:|" * len(budgets))
    for name, error in rows.items():
        print(f"| {name} | " + " | ".join(f"{error(budget):.3f}" for budget in budgets) + " |", flush=True)


def speed() -> None:
    """CPU time of exact semantic interactions on one core."""
    torch.set_num_threads(1)
    print("\n| pairs, regions, phrases | absent=zero, ms | absent=drop, ms |\n|---|--:|--:|")
    for batch, regions, phrases in ((64, 8, 6), (64, 8, 8), (64, 12, 12)):
        cells = []
        for absent in ("zero", "drop"):
            scores = torch.randn(batch, regions, phrases)
            masks = torch.rand(batch, regions) > 0.2, torch.rand(batch, phrases) > 0.2
            seconds = []
            for _ in range(20):
                start = time.process_time()
                semantic_interactions(scores, *masks, absent)
                seconds.append(time.process_time() - start)
            cells.append(f"{1000 * sorted(seconds)[10]:.1f}")
        print(f"| {batch}, {regions}, {phrases} | " + " | ".join(cells) + " |")


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what", choices=["quality", "instability", "attribution", "speed", "separation", "sizes"]
    )
    parser.add_argument("--run", help="output folder of `loupe pretrain`")
    parser.add_argument("--data", help="shards of an icon-world split")
    parser.add_argument("--output", type=Path, default=Path("build/shapley"), help="folder for plots")
    parser.add_argument("--context", default="players", choices=["players", "full_text"])
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS, help="evaluations, for sizes")
    parser.add_argument("--regions", type=int, default=12, help="regions per group, for sizes")
    parser.add_argument("--groups", nargs="+", default=list(GROUPS), choices=list(GROUPS), help="for sizes")
    parser.add_argument("--runs", type=int, default=None)
    parser.add_argument("--budget", type=int, default=96, help="evaluations per region, for separation")
    parser.add_argument(
        "--largest", type=int, default=1000, help="largest number of samples, for instability"
    )
    args = parser.parse_args()
    if args.what == "speed":
        speed()
        return
    if args.what == "attribution":
        attribution()
        return
    games: dict[str, Enumerable | Trained] = {}
    if args.run:
        encoder = load_encoder(args.run)
        scenes = load_scenes(args.run, args.data, args.scenes, encoder.grid)
        if args.what == "sizes":
            print(
                quality_by_size(
                    encoder, scenes, args.regions, args.groups, args.runs or 2, args.budgets, args.context
                )
            )
            return
        if args.what == "separation":
            print(object_separation(encoder, scenes, args.budget))
            return
        games[f"trained model, context {args.context}"] = Trained(encoder, scenes, args.context)
    elif args.what in ("separation", "sizes"):
        parser.error(f"{args.what} needs --run and --data")
    else:
        games["random attention, 14 players"] = Enumerable([attention_game(seed) for seed in range(8)])
        games["random polynomials, 14 players"] = Enumerable([polynomial_game(seed) for seed in range(8)])
    if args.what == "quality":
        quality(games, args.runs or (6 if args.run else 200))
    else:
        instability(games, args.runs or (4 if args.run else 40), args.output, args.largest)


if __name__ == "__main__":
    main()
