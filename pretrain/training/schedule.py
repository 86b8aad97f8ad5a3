"""The schedule of learning rate and AdamW's first moment, which falls as the rate rises: OneCycle (paper, Table 5).

It is a pure function of the step, so resuming needs no scheduler state.
"""

from __future__ import annotations

import math

from pretrain.config import OptimizerConfig


def rate_and_moment(step: int, total: int, config: OptimizerConfig) -> tuple[float, float]:
    """Return (learning rate, first moment β1) at `step` of `total` steps, counted from 0.

    The rate rises from peak / start_divisor to the peak over the first `warmup_fraction` of the steps, then falls to
    peak / (start_divisor × final_divisor), both along a cosine; β1 goes from its highest value to its lowest and back.
    The numbers equal those of torch.optim.lr_scheduler.OneCycleLR with `cycle_momentum`. With `decay_fraction` both
    stay as they are at the peak until that share of the steps is left (a trapezoid, as in Zhai et al., 2022): runs that
    branch off before then differ little in what they have behind them.
    """
    peak = config.learning_rate
    start_rate = peak / config.start_divisor
    end_rate = start_rate / config.final_divisor
    low, high = config.momentum_range
    peak_step = config.warmup_fraction * total - 1
    if step <= peak_step:
        share = step / peak_step if peak_step > 0 else 1.0
        return _cosine(start_rate, peak, share), _cosine(high, low, share)
    if config.decay_fraction is not None:
        peak_step = max(peak_step, (1 - config.decay_fraction) * total - 1)
    share = (step - peak_step) / max(total - 1 - peak_step, 1e-9)
    share = min(max(share, 0.0), 1.0)
    return _cosine(peak, end_rate, share), _cosine(low, high, share)


def _cosine(start: float, end: float, share: float) -> float:
    """Interpolate from `start` (share 0) to `end` (share 1) along half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
