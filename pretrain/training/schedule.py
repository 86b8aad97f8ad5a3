"""OneCycle for the learning rate and, opposed to it, for AdamW's first moment (paper, Table 5).

A pure function of the step: resuming needs no scheduler state.
"""

from __future__ import annotations

import math

from pretrain.config import OptimizerConfig


def one_cycle(step: int, total: int, config: OptimizerConfig) -> tuple[float, float]:
    """(learning rate, first moment) at `step` of `total` (from 0), cosine-shaped.

    The rate rises from peak / start_divisor to the peak over the first `warmup_fraction` of the steps, then falls to
    peak / (start_divisor × final_divisor); the moment goes from its highest value to its lowest and back.
    The same numbers as torch.optim.lr_scheduler.OneCycleLR with `cycle_momentum`.
    """
    peak = config.learning_rate
    first = peak / config.start_divisor
    last = first / config.final_divisor
    low, high = config.momentum_range
    top = config.warmup_fraction * total - 1
    if step <= top:
        share = step / top if top > 0 else 1.0
        return _cosine(first, peak, share), _cosine(high, low, share)
    share = (step - top) / max(total - 1 - top, 1e-9)
    return _cosine(peak, last, min(share, 1.0)), _cosine(low, high, min(share, 1.0))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
