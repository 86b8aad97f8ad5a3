"""Which interactions are sampled and which are predicted, at a fixed number of coalition forwards.

LOUPE section 3.4: draw u ~ U(0, 1); where u > σ the prediction stands in for the interaction, elsewhere it is
sampled (and UNSIL learns from the sample). Taken alone the rule costs a random amount that differs between
ranks: ranks wait for the slowest, and a sharded forward, which holds collectives, comes apart. Here every
rank samples the same, configured number of candidates each step, whatever it is uncertain of.

A candidate is whatever costs equally many forwards: a (region, image) pair at a fixed number of evaluations,
or an image whose evaluations serve all its regions and phrases.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from data_filters.errors import InputError
from pretrain.models.running_statistics import RunningState


class Selection(NamedTuple):
    """What to do with each candidate of one step on one rank; P candidates, flattened in row-major order."""

    sampled: Int[Tensor, " budget"]
    """Flat indices of the candidates to sample: always `budget` many, all different."""
    sampled_real: Bool[Tensor, " budget"]
    """False where a sampled candidate is padding: evaluated to keep the count, its result left unused."""
    use_prediction: Bool[Tensor, "..."]
    """True where Î is the target. In the shape of σ. Neither sampled nor predicted: no target this step."""
    metrics: dict[str, Tensor]


@torch.no_grad()
def select(
    sigma: Float[Tensor, "..."],
    budget: int,
    generator: torch.Generator,
    step: int,
    *,
    warmup_steps: int = 0,
    real: Bool[Tensor, "..."] | None = None,
) -> Selection:
    """Choose `budget` of the candidates for sampling by the rule u > σ, most uncertain first.

    Those that the rule sends to sampling come first, most uncertain first; are they fewer than the budget,
    the next most uncertain of the others fill it; are they more, the rest use Î. In the first `warmup_steps`
    all are to be sampled: the budget then goes to rows (images) drawn evenly, σ meaning nothing yet, and those
    that do not fit have no target rather than an untrained one. Whole rows, since a label is a region's standing
    among the others of its image: one region alone of each image would teach nothing. `real` is False at
    padded candidates: they are never predicted, and sampled only when nothing else is left.

    The random stream moves by one draw per candidate, whatever σ is. Metrics are over real candidates:
    `share_predicted`, `share_sampled`, `share_overflow` (the rule asked for sampling, the budget had no
    room), `mean_sigma`. Raises InputError when the budget exceeds the number of candidates.
    """
    shape, sigma = sigma.shape, sigma.detach().flatten().float().nan_to_num(1.0).clamp(0, 1)
    check_budget(budget, sigma.numel())
    real = torch.ones_like(sigma, dtype=torch.bool) if real is None else real.flatten()
    draw = torch.rand(sigma.shape, generator=generator, device=generator.device).to(sigma.device)
    warming = step < warmup_steps
    wanted = real if warming else real & (draw <= sigma)
    # Three classes, a unit apart: asked for by the rule, other real ones, padding.
    order = (_by_row(draw, shape) if warming else sigma) + 2.0 * wanted + 2.0 * real
    sampled = order.topk(budget).indices
    chosen = torch.zeros_like(real).index_fill_(0, sampled, True) & real
    use_prediction = torch.zeros_like(real) if warming else real & ~chosen
    count = real.sum().clamp(min=1)
    metrics = {
        "share_predicted": use_prediction.sum() / count,
        "share_sampled": chosen.sum() / count,
        "share_overflow": (wanted & ~chosen).sum() / count,
        "mean_sigma": (sigma * real).sum() / count,
    }
    return Selection(sampled, real[sampled], use_prediction.view(shape), metrics)


def _by_row(draw: Float[Tensor, " P"], shape: torch.Size) -> Float[Tensor, " P"]:
    """Scores in 0..1 that keep the candidates of a row (first dimension) together, in an order drawn anew."""
    if len(shape) < 2:
        return draw
    rows = draw.view(shape[0], -1)
    # The low digits of the draws order within a row: the high ones of its first candidate have placed the row.
    within = (rows.double() * 8191) % 1
    place = rows[:, :1].argsort(0).argsort(0) + within / 2
    return (place / shape[0]).flatten().float()


@torch.no_grad()
def merge(
    selection: Selection, predicted: Float[Tensor, "..."], values: Float[Tensor, " budget"]
) -> tuple[Float[Tensor, "..."], Bool[Tensor, "..."], Bool[Tensor, "..."]]:
    """(targets, supervised, sampled), each in the shape of `predicted`.

    `values` are the sampled interactions in the order of `selection.sampled`, in the units of `predicted`.
    Targets are the samples where there are any and Î elsewhere; `supervised` is True where the target counts,
    `sampled` where it is a sample (there UNSIL learns).
    """
    flat = predicted.detach().flatten().index_copy(0, selection.sampled, values.to(predicted.dtype))
    sampled = torch.zeros_like(flat, dtype=torch.bool).index_copy(
        0, selection.sampled, selection.sampled_real
    )
    sampled = sampled.view_as(predicted)
    return flat.view_as(predicted), sampled | selection.use_prediction, sampled


def check_budget(budget: int, candidates: int) -> None:
    """Raises InputError unless 1 <= budget <= candidates (those of one step on one rank)."""
    if not 1 <= budget <= candidates:
        raise InputError(
            f"sampling budget is {budget}; allowed are 1 to {candidates}, a rank's candidates of one step; "
            "set supervision.budget within it or raise the batch"
        )


class HybridSupervision(RunningState):
    """The rule with its memory: steps taken, running error, running share sampled; all of it in checkpoints.

    `budget` candidates are sampled a step on each rank, `evaluations` coalition forwards each. `momentum` is
    that of the running figures. The step counter is a buffer, so a resumed run does not warm up again; the
    random generator is the caller's, seeded from (seed, step, rank), so that a resumed run draws as the
    undisturbed one.
    """

    steps: Tensor
    share_sampled: Tensor
    squared_error: Tensor
    squared_target: Tensor

    def __init__(
        self, budget: int, evaluations: int, *, warmup_steps: int = 0, momentum: float = 0.98
    ) -> None:
        super().__init__()
        if evaluations < 1 or warmup_steps < 0:
            raise InputError(
                f"evaluations is {evaluations} and warmup_steps {warmup_steps}; allowed are ≥ 1 and ≥ 0; "
                "set supervision.evaluations and supervision.warmup_steps"
            )
        self.budget, self.evaluations = budget, evaluations
        self.warmup_steps, self.momentum = warmup_steps, momentum
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        for name in ("share_sampled", "squared_error", "squared_target"):
            self.register_buffer(name, torch.zeros(()))

    def select(
        self, sigma: Float[Tensor, "..."], generator: torch.Generator, real: Bool[Tensor, "..."] | None = None
    ) -> Selection:
        """`select` at the own step, which it counts. Call once a step."""
        chosen = select(
            sigma, self.budget, generator, int(self.steps), warmup_steps=self.warmup_steps, real=real
        )
        first = self.steps == 0
        self.steps += 1
        share = chosen.metrics["share_sampled"]
        self.share_sampled.copy_(torch.where(first, share, self.share_sampled.lerp(share, 1 - self.momentum)))
        return chosen

    @torch.no_grad()
    def observe(
        self, selection: Selection, predicted: Float[Tensor, "..."], values: Float[Tensor, " budget"]
    ) -> None:
        """Take in how far Î was from the samples of this step (arguments as for `merge`)."""
        real = selection.sampled_real
        targets = values.float().masked_fill(~real, 0)
        error = predicted.detach().float().flatten()[selection.sampled].masked_fill(~real, 0) - targets
        self.squared_error.mul_(self.momentum).add_(error.square().sum())
        self.squared_target.mul_(self.momentum).add_(targets.square().sum())

    def metrics(self, selection: Selection, images: int) -> dict[str, Tensor]:
        """Of one step: the selection's own, and

        `relative_error`: root of Σ(Î - I)² / ΣI² over recent samples; 1 is no better than predicting 0;
        `running_share_sampled`; `evaluations_per_image`: coalition forwards of this step over `images`.
        """
        relative = (self.squared_error / self.squared_target.clamp(min=1e-12)).sqrt()
        per_image = torch.tensor(self.budget * self.evaluations / images, device=relative.device)
        return {
            **selection.metrics,
            "relative_error": relative,
            "running_share_sampled": self.share_sampled.clone(),
            "evaluations_per_image": per_image,
        }
