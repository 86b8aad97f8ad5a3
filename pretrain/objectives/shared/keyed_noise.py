"""Gumbel noise that is a function of a seed and of two keys, so that draws depend on neither order nor ranks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

_STEP = np.uint64(0x9E3779B97F4A7C15)


def keyed_gumbel(seed: int, rows: Int[Tensor, " B"], columns: Int[Tensor, " G"]) -> Float[Tensor, "B G"]:
    """Standard Gumbel noise for each pair of a row's and a column's key (int64), float64 on the CPU.

    The argmax of logits plus such noise is a draw from their softmax (Maddison et al. 2014, "A* sampling", section 2).
    """
    left, right = (keys.cpu().numpy().astype(np.int64).view(np.uint64) for keys in (rows, columns))
    start = _mixed(left ^ _mixed(np.array([seed], np.int64).view(np.uint64)))
    bits = _mixed(start[:, None] + _mixed(right)[None, :])
    # 53 bits, moved off 0 and 1, whose logarithms are infinite.
    uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return torch.from_numpy(-np.log(-np.log(uniform)))


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64 (Steele et al. 2014): every bit of the result depends on every bit of the value."""
    with np.errstate(over="ignore"):
        values = values + _STEP
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
