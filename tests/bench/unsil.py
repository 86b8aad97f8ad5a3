"""Measure how well UNSIL predicts interactions on a trained encoder, as Markdown tables and a plot:

    python tests/bench/unsil.py bodies|labels|pairs --run RUN --data SHARDS --held-out SHARDS [--output DIR]

bodies  held-out error and mean σ of the three bodies on exact semantic interactions (figure 3 of the LOUPE paper)
labels  token level: many labels of few samples against few labels of many, at the same number of encoder forwards
pairs   the same at the semantic level, at the same number of game evaluations, judged by exact interactions

UNSIL learns on scenes of --data (an icon-world split) and is judged on scenes of --held-out. The encoder is frozen.
Relative error: root mean square of Î - I over that of I; 1 is what predicting 0 gets.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).parent))

from shapley_plot import plot
from shapley_scenes import Scenes, load_encoder, load_scenes
from unsil_examples import (
    Examples,
    draw_regions,
    encode,
    masks_of,
    sampled_pairs,
    semantic_examples,
    token_examples,
)

from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.unsil import SemanticUnsil, TokenUnsil
from pretrain.models.unsil_bodies import BODIES
from pretrain.objectives.unsil import unsil_loss

WIDTH, BATCH = 64, 32


@dataclass(frozen=True)
class Judgement:
    """Scores on held-out examples."""

    error: float  # relative
    sigma: float  # mean
    rank: float  # rank correlation of |Î - I| and σ


def train(
    head: TokenUnsil | SemanticUnsil,
    examples: Examples,
    steps: int,
    generator: torch.Generator,
    watch: Callable[[int], None] = lambda step: None,
) -> None:
    """AdamW, one cycle, batches drawn with replacement; eq. 12 in units of the running scale."""
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for step in range(1, steps + 1):
        batch = examples.some(torch.randint(len(examples.real), (BATCH,), generator=generator))
        head.scale.update(batch.interaction, batch.real)
        said = head(*batch.inputs)
        loss = unsil_loss(
            said.relative, said.uncertainty, batch.interaction / head.scale(), batch.real, beta=1.0
        )
        optimizer.zero_grad()
        loss["unsil_loss"].backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        watch(step)


@torch.no_grad()
def judge(head: TokenUnsil | SemanticUnsil, examples: Examples) -> Judgement:
    said = head(*examples.inputs)
    error = (said.interaction - examples.interaction)[examples.real]
    sigma = said.uncertainty[examples.real]
    ranks = torch.stack([error.abs().argsort().argsort(), sigma.argsort().argsort()]).float()
    relative = error.square().mean().sqrt() / examples.interaction[examples.real].square().mean().sqrt()
    return Judgement(float(relative), float(sigma.mean()), float(torch.corrcoef(ranks)[0, 1]))


def bodies(encoder: DualEncoder, scenes: Scenes, held_out: Scenes, steps: int, output: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    examples, unseen = (semantic_examples(encoder, part, generator) for part in (scenes, held_out))
    wanted = unseen.interaction[unseen.real]
    flat = (wanted - wanted.mean()).square().mean().sqrt() / wanted.square().mean().sqrt()
    print(
        f"\nSemantic level: {len(examples.real)} scenes, {len(unseen.real)} held out ({len(wanted)} pairs), "
        f"{steps} steps of {BATCH}, width {WIDTH}. RMS interaction {wanted.square().mean().sqrt():.5f}; "
        f"the mean of all gets {flat:.3f}.\n"
    )
    print("| body | parameters | relative error | mean σ | rank correlation of error and σ |")
    print("|---|--:|--:|--:|--:|")
    curves: dict[str, list[tuple[float, float]]] = {}
    for body in BODIES:
        torch.manual_seed(1)
        head = SemanticUnsil(unseen.inputs[0].shape[-1], width=WIDTH, body=body)
        error: list[tuple[float, float]] = []
        sigma: list[tuple[float, float]] = []

        def watch(step: int, head=head, error=error, sigma=sigma) -> None:  # type: ignore[no-untyped-def]
            if step in (10, 20, 40, 80) or step % 80 == 0 or step == steps:
                seen = judge(head, unseen)
                error.append((step, seen.error))
                sigma.append((step, seen.sigma))

        train(head, examples, steps, torch.Generator().manual_seed(2), watch)
        curves[f"{body}: error"], curves[f"{body}: mean σ"] = error, sigma
        last, size = judge(head, unseen), sum(p.numel() for p in head.parameters())
        print(f"| {body} | {size} | {last.error:.3f} | {last.sigma:.3f} | {last.rank:.2f} |", flush=True)
    output.mkdir(parents=True, exist_ok=True)
    path = output / "unsil-bodies.svg"
    path.write_text(plot(curves, "steps of training", "relative error, mean σ"), encoding="utf-8")
    print(f"\nPlot: {path.name}")
    for name, curve in curves.items():
        print(f"{name}: " + ", ".join(f"{step:g}: {value:.3f}" for step, value in curve))


def labels(
    encoder: DualEncoder,
    scenes: Scenes,
    held_out: Scenes,
    samples: list[int],
    forwards: int,
    referee: tuple[int, int],
    steps: int,
) -> None:
    """Context full_text: a coalition is one image forward. `referee`: held-out regions, coalitions of each.

    Every row of the table has the same first regions; the more coalitions per label, the fewer labels.
    """
    generator = torch.Generator().manual_seed(0)
    tokens, unseen_tokens = encode(encoder, scenes), encode(encoder, held_out)
    count, coalitions = referee
    rows, boxes = draw_regions(encoder, held_out, count, generator)
    unseen, noise = token_examples(encoder, held_out, unseen_tokens, rows, boxes, coalitions, generator)
    print(
        f"\nToken level, context full_text: {forwards} encoder forwards for labels; judged on {count} held-out regions "
        f"of {coalitions} coalitions (their relative standard error is at most {noise:.2f}); {steps} steps of {BATCH}, "
        f"width {WIDTH}, 3 seeds.\n"
    )
    print(
        "| coalitions per label | labels | forwards | error of labels, at most | body "
        "| relative error | at its best step | own captions | mean σ |"
    )
    print("|--:|--:|--:|--:|---|--:|--:|--:|--:|")
    rows, boxes = draw_regions(encoder, scenes, forwards // (3 * min(samples)), generator)
    cost = masks_of(boxes[:, None], encoder).sum(-1)[:, 0] + 2
    for coalitions in samples:
        spent = coalitions * cost.cumsum(0)
        few = int((spent < forwards).sum()) + 1
        examples, noise = token_examples(
            encoder, scenes, tokens, rows[:few], boxes[:few], coalitions, generator
        )
        for body in BODIES if coalitions == min(samples) else list(BODIES)[:1]:
            found = []
            for seed in range(3):
                torch.manual_seed(seed)
                head = TokenUnsil(tokens.patches.shape[-1], width=WIDTH, body=body)
                path: list[float] = []

                def watch(step: int, head=head, path=path) -> None:  # type: ignore[no-untyped-def]
                    if step % 40 == 0:
                        path.append(judge(head, unseen).error)

                train(head, examples, steps, torch.Generator().manual_seed(seed), watch)
                last = judge(head, unseen)
                own = judge(head, unseen.some(torch.arange(count)))
                found.append((last.error, min(path), own.error, last.sigma))
            mean = torch.tensor(found).mean(0).tolist()
            apart = torch.tensor(found).std(0).tolist()
            print(
                f"| {coalitions} | {few} | {int(spent[few - 1])} | {noise:.2f} | {body} "
                f"| {mean[0]:.3f} ± {apart[0]:.3f} | {mean[1]:.3f} ± {apart[1]:.3f} | {mean[2]:.3f} ± {apart[2]:.3f} "
                f"| {mean[3]:.3f} |",
                flush=True,
            )


def pairs(encoder: DualEncoder, scenes: Scenes, held_out: Scenes, samples: list[int], steps: int) -> None:
    """Sample the semantic game as the paper does, and compare with the exact interactions.

    With the fewest coalitions per label all scenes are labelled, and the other rows get as many evaluations, on the
    first scenes.
    """
    generator = torch.Generator().manual_seed(0)
    exact, unseen = (semantic_examples(encoder, part, generator) for part in (scenes, held_out))
    print(
        f"\nSemantic level: judged on {int(unseen.real.sum())} exact held-out pairs; {steps} steps of {BATCH}, width "
        f"{WIDTH}, mlp_attention, 3 seeds.\n"
    )
    print(
        "| coalitions per label | scenes | pairs | game evaluations | error of labels | relative error | mean σ |"
    )
    print("|--:|--:|--:|--:|--:|--:|--:|")
    cost = 4 * exact.real.sum((1, 2)).cumsum(0)
    total = min(samples) * int(cost[-1])
    for coalitions in [*samples, None]:
        count = len(cost) if coalitions is None else max(int((coalitions * cost <= total).sum()), 1)
        examples = exact.some(torch.arange(count))
        if coalitions is not None:
            sampled = sampled_pairs(examples, coalitions, generator)
            off = (sampled - examples.interaction)[examples.real]
            noise = float(
                off.square().mean().sqrt() / examples.interaction[examples.real].square().mean().sqrt()
            )
            examples = Examples(examples.inputs, sampled, examples.real)
        found = []
        for seed in range(3):
            torch.manual_seed(seed)
            head = SemanticUnsil(unseen.inputs[0].shape[-1], width=WIDTH)
            train(head, examples, steps, torch.Generator().manual_seed(seed))
            last = judge(head, unseen)
            found.append((last.error, last.sigma))
        mean, apart = torch.tensor(found).mean(0).tolist(), torch.tensor(found).std(0).tolist()
        labelled = int(examples.real.sum())
        spent = (
            f"{coalitions} | {count} | {labelled} | {coalitions * int(cost[count - 1])} | {noise:.3f}"
            if (coalitions)
            else f"exact | {count} | {labelled} | | 0"
        )
        print(f"| {spent} | {mean[0]:.3f} ± {apart[0]:.3f} | {mean[1]:.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["bodies", "labels", "pairs"])
    parser.add_argument("--run", required=True, help="output folder of `loupe pretrain`")
    parser.add_argument("--data", required=True, help="shards of an icon-world split to learn on")
    parser.add_argument("--held-out", required=True, help="shards of an icon-world split for the scores")
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--held-out-scenes", type=int, default=200)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--forwards", type=int, default=12000, help="encoder forwards for training labels")
    parser.add_argument("--coalitions", type=int, nargs="+", default=[8, 500], help="coalitions per label")
    parser.add_argument(
        "--referee",
        type=int,
        nargs=2,
        default=(80, 24),
        help="number of held-out regions, coalitions per region",
    )
    parser.add_argument("--output", type=Path, default=Path("build/shapley"), help="folder for plots")
    args = parser.parse_args()
    encoder = load_encoder(args.run)
    scenes = load_scenes(args.run, args.data, args.scenes, encoder.grid)
    held_out = load_scenes(args.run, args.held_out, args.held_out_scenes, encoder.grid)
    if args.what == "pairs":
        pairs(encoder, scenes, held_out, args.coalitions, args.steps)
    elif args.what == "bodies":
        bodies(encoder, scenes, held_out, args.steps, args.output)
    else:
        labels(encoder, scenes, held_out, args.coalitions, args.forwards, tuple(args.referee), args.steps)


if __name__ == "__main__":
    main()
