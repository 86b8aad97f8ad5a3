"""Chooses which interactions are sampled and which are predicted, at a fixed number of coalition forwards.

LOUPE section 3.4: draw u ~ U(0, 1); where u > σ the prediction replaces the interaction, elsewhere the interaction is
sampled (and UNSIL learns from the sample). By itself this rule costs a random number of forwards that differs between
ranks: ranks wait for the slowest one, and the collectives inside a sharded forward no longer match. Here every rank
samples the same, configured number of candidates per step, whatever its uncertainties are.

All candidates must cost the same number of forwards. A candidate is a (region, image) pair at a fixed number of
evaluations, or an image whose evaluations serve all its regions and phrases.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from data_filters.errors import InputError
from pretrain.models.running_statistics import RunningState
from pretrain.shapley.coalitions import uniform_draws
from pretrain.step_context import StepContext


class Selection(NamedTuple):
    """Which candidates of one step on one rank are sampled or predicted; P candidates in row-major order."""

    sampled: Int[Tensor, " budget"]
    """Flat indices of the candidates to sample: always `budget` of them, all different."""
    sampled_real: Bool[Tensor, " budget"]
    """False where a sampled candidate is padding: it is evaluated to keep the count, and its result is not used."""
    use_prediction: Bool[Tensor, "..."]
    """True where Î is the target; has the shape of σ. A candidate neither sampled nor predicted has no target."""
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
    leave_overflow: bool = False,
) -> Selection:
    """Choose `budget` of the candidates for sampling by the rule u > σ, most uncertain first.

    The candidates that the rule sends to sampling come first, most uncertain first. When they are fewer than the
    budget, the most uncertain of the others fill it; when they are more, the rest use Î, or with `leave_overflow` have
    no target: Î is then used only where the rule is certain of it.

    In the first `warmup_steps` steps σ carries no information yet, and every candidate should be sampled. The budget
    then goes to rows (images) drawn with equal probability; candidates beyond the budget get no target, because UNSIL
    is untrained. Whole rows are drawn because a label compares a region with the other regions of its image: a single
    region per image would teach nothing.

    `real` is False at padded candidates: they are never predicted, and sampled only when no real one is left. Each
    call takes one random draw per candidate, whatever σ is. Metrics are over real candidates: `share_predicted`,
    `share_sampled`, `share_overflow` (the rule asked for sampling, the budget had no room), `mean_sigma`. Raises
    InputError when the budget exceeds the number of candidates.
    """
    shape, sigma = sigma.shape, sigma.detach().flatten().float().nan_to_num(1.0).clamp(0, 1)
    check_budget(budget, sigma.numel())
    real = torch.ones_like(sigma, dtype=torch.bool) if real is None else real.flatten()
    draw = uniform_draws(sigma.shape, generator, sigma.device)
    in_warmup = step < warmup_steps
    to_sample = real if in_warmup else real & (draw <= sigma)
    # Three classes of scores, 2 apart: sent to sampling by the rule, other real candidates, padding.
    order = (_by_row(draw, shape) if in_warmup else sigma) + 2.0 * to_sample + 2.0 * real
    sampled = order.topk(budget).indices
    chosen = torch.zeros_like(real).index_fill_(0, sampled, True) & real
    use_prediction = torch.zeros_like(real) if in_warmup else real & ~chosen
    if leave_overflow:
        use_prediction &= ~to_sample
    count = real.sum().clamp(min=1)
    metrics = {
        "share_predicted": use_prediction.sum() / count,
        "share_sampled": chosen.sum() / count,
        "share_overflow": (to_sample & ~chosen).sum() / count,
        "mean_sigma": (sigma * real).sum() / count,
    }
    return Selection(sampled, real[sampled], use_prediction.view(shape), metrics)


def _by_row(draw: Float[Tensor, " P"], shape: torch.Size) -> Float[Tensor, " P"]:
    """Return scores in 0..1 that keep the candidates of a row (first dimension) together; rows are in random order."""
    if len(shape) < 2:
        return draw
    rows = draw.view(shape[0], -1)
    # The high digits of the first candidate's draw place the row; the low digits of each draw give the order within it.
    within = (rows.double() * 8191) % 1
    place = rows[:, :1].argsort(0).argsort(0) + within / 2
    return (place / shape[0]).flatten().float()


@torch.no_grad()
def merge(
    selection: Selection, predicted: Float[Tensor, "..."], values: Float[Tensor, " budget"]
) -> tuple[Float[Tensor, "..."], Bool[Tensor, "..."], Bool[Tensor, "..."]]:
    """Return (targets, supervised, sampled), each in the shape of `predicted`.

    `values` are the sampled interactions in the order of `selection.sampled`, in the units of `predicted`. A target is
    the sample where there is one and Î elsewhere. `supervised` is True where the target is used, `sampled` where it is
    a sample (UNSIL learns there).
    """
    flat = predicted.detach().flatten().index_copy(0, selection.sampled, values.to(predicted.dtype))
    sampled = torch.zeros_like(flat, dtype=torch.bool).index_copy(
        0, selection.sampled, selection.sampled_real
    )
    sampled = sampled.view_as(predicted)
    return flat.view_as(predicted), sampled | selection.use_prediction, sampled


def check_budget(budget: int, candidates: int) -> None:
    """Raise InputError unless 1 <= budget <= candidates (the number of candidates of one step on one rank)."""
    if not 1 <= budget <= candidates:
        raise InputError(
            f"sampling budget is {budget}; allowed are 1 to {candidates}, a rank's candidates of one step; "
            "set supervision.budget within it or raise the batch"
        )


class HybridSupervision(RunningState):
    """Applies the rule and keeps its running averages (prediction error, share sampled), which checkpoints hold.

    In each step `budget` candidates are sampled on each rank, at `evaluations` coalition forwards each. `momentum` is
    that of the running averages. Warm-up is the first `warmup_steps` steps counted from the run's `first_step`: a
    resumed run does not warm up again, a branch of another run does. The running share sampled starts anew in
    `first_step` too, even where a branch loaded one; the running errors continue those that it loaded. Draws come from
    the step's generator, so a resumed run draws the same numbers as an uninterrupted one. Raises InputError when
    `evaluations` is below 1 or `warmup_steps` below 0.
    """

    share_sampled: Tensor
    squared_error: Tensor
    squared_target: Tensor

    def __init__(
        self,
        budget: int,
        evaluations: int,
        *,
        warmup_steps: int = 0,
        first_step: int = 0,
        momentum: float = 0.98,
        leave_overflow: bool = False,
    ) -> None:
        super().__init__()
        if evaluations < 1 or warmup_steps < 0:
            raise InputError(
                f"evaluations is {evaluations} and warmup_steps {warmup_steps}; allowed are ≥ 1 and ≥ 0; "
                "set supervision.evaluations and supervision.warmup_steps"
            )
        self.budget, self.evaluations = budget, evaluations
        self.warmup_steps, self.first_step, self.momentum = warmup_steps, first_step, momentum
        self.leave_overflow = leave_overflow
        for name in ("share_sampled", "squared_error", "squared_target"):
            self.register_buffer(name, torch.zeros(()))

    def select(
        self, sigma: Float[Tensor, "..."], step: StepContext, real: Bool[Tensor, "..."] | None = None
    ) -> Selection:
        """Run `select` for this step, and update the running share of sampled candidates. Call once per step."""
        steps_done = step.step - self.first_step
        selection = select(
            sigma,
            self.budget,
            step.generator,
            steps_done,
            warmup_steps=self.warmup_steps,
            real=real,
            leave_overflow=self.leave_overflow,
        )
        share = selection.metrics["share_sampled"]
        if steps_done > 0:
            share = self.share_sampled.lerp(share, 1 - self.momentum)
        self.share_sampled.copy_(share)
        return selection

    @torch.no_grad()
    def observe(
        self, selection: Selection, predicted: Float[Tensor, "..."], values: Float[Tensor, " budget"]
    ) -> None:
        """Update the running error of Î with the samples of this step (arguments as for `merge`)."""
        real = selection.sampled_real
        targets = values.float().masked_fill(~real, 0)
        error = predicted.detach().float().flatten()[selection.sampled].masked_fill(~real, 0) - targets
        self.squared_error.mul_(self.momentum).add_(error.square().sum())
        self.squared_target.mul_(self.momentum).add_(targets.square().sum())

    def metrics(self, selection: Selection, images: int, forwards: int | None = None) -> dict[str, Tensor]:
        """Return the metrics of one step: those of the selection, and three more.

        - `relative_error`: root of Σ(Î - I)² / ΣI² over recent samples; 1 is no better than predicting 0;
        - `running_share_sampled`: running average of `share_sampled`;
        - `evaluations_per_image`: coalition forwards of this step (`forwards`; None: those of the budget) divided by
          `images`.
        """
        relative = (self.squared_error / self.squared_target.clamp(min=1e-12)).sqrt()
        count = self.budget * self.evaluations if forwards is None else forwards
        per_image = torch.tensor(count / images, device=relative.device)
        return {
            **selection.metrics,
            "relative_error": relative,
            "running_share_sampled": self.share_sampled.clone(),
            "evaluations_per_image": per_image,
        }
