"""Labels from interactions, normalised within each image.

The scale of interactions has no meaning of its own: it depends on the model, the sizes and the number of players.

Shapes: B images, M regions, N phrases. Masked-out entries are 0 in every result.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from data_filters.errors import InputError

SMALLEST = 1e-12

Rule = TypeVar("Rule")


def soft_labels(
    targets: Float[Tensor, "B M"], mask: Bool[Tensor, "B M"], how: str = "minmax"
) -> Float[Tensor, "B M"]:
    """Labels in [0, 1] for the confidences of an image's regions (L_TSA, eq. 8). `how` is a key of `SOFT_LABELS`.

    The default is "minmax". L_TSA asks which of the candidates of this image are objects, so the ranking within the
    image matters, and shift and scale of the target must not: under the same caption small regions have negative and
    large ones positive interactions, so that zero is no natural threshold. Min-max is the one choice here that depends
    on neither and keeps ratios of differences, which "rank" does not. It stretches pure noise to the full range: leave
    regions that differ by less than their standard errors out of `mask`. Raises InputError for an unknown name.
    """
    chosen = _known(SOFT_LABELS, how, "how")
    return chosen(targets.detach().masked_fill(~mask, 0.0), mask).masked_fill(~mask, 0.0)


def row_distributions(
    interactions: Float[Tensor, "B M N"],
    region_mask: Bool[Tensor, "B M"],
    phrase_mask: Bool[Tensor, "B N"],
    how: str = "positive",
    temperature: float = 1.0,
) -> Float[Tensor, "B M N"]:
    """Rows that sum to one over the real phrases of each real region (L_FSA, eq. 11). `how`: `ROW_DISTRIBUTIONS`.

    The default is "positive": each phrase's share of the row's positive interactions. A zero interaction means that
    region and phrase do not affect each other, a negative one that they reduce each other's value: both get probability
    0 whatever the other phrases are, and so does a dummy phrase. It needs no temperature and no unit. A row without a
    positive entry has no information and is uniform. `temperature` is that of "softmax", in standard deviations of the
    row. For columns over regions, pass the transpose. Raises InputError for an unknown name.
    """
    if not temperature > 0:
        raise InputError(f"temperature is {temperature}; allowed are numbers above 0")
    chosen = _known(ROW_DISTRIBUTIONS, how, "how")
    real = phrase_mask[:, None].expand_as(interactions)
    uniform = real / real.sum(-1, keepdim=True).clamp(min=1)
    shares = chosen(interactions.detach().masked_fill(~real, 0.0), real, temperature)
    total = shares.sum(-1, keepdim=True)
    shares = torch.where(total > SMALLEST, shares / total.clamp(min=SMALLEST), uniform)
    return shares.masked_fill(~(real & region_mask[..., None]), 0.0)


def _minmax(targets: Tensor, mask: Tensor) -> Tensor:
    """Linear from 0 for the least target to 1 for the greatest; 0.5 where all are equal (or there is one)."""
    high = targets.masked_fill(~mask, float("-inf")).amax(-1, keepdim=True)
    low = targets.masked_fill(~mask, float("inf")).amin(-1, keepdim=True)
    width = (high - low).nan_to_num(0.0, 0.0, 0.0)
    tiny = width <= SMALLEST
    return torch.where(tiny, torch.full_like(targets, 0.5), (targets - low) / width.masked_fill(tiny, 1.0))


def _positive_part(targets: Tensor, mask: Tensor) -> Tensor:
    """The positive part divided by the greatest target: for targets with a meaningful zero ("value")."""
    positive = targets.clamp(min=0.0)
    top = positive.amax(-1, keepdim=True)
    return torch.where(top > SMALLEST, positive / top.clamp(min=SMALLEST), torch.zeros_like(positive))


def _logistic(targets: Tensor, mask: Tensor) -> Tensor:
    """Logistic function of the standardised target: robust to one outlier, strictly between 0 and 1."""
    count = mask.sum(-1, keepdim=True).clamp(min=1)
    centred = (targets - targets.sum(-1, keepdim=True) / count) * mask
    deviation = (centred.square().sum(-1, keepdim=True) / count).sqrt()
    tiny = deviation <= SMALLEST
    return torch.sigmoid(
        torch.where(tiny, torch.zeros_like(centred), centred / deviation.masked_fill(tiny, 1.0))
    )


def _rank(targets: Tensor, mask: Tensor) -> Tensor:
    """Share of the image's other regions with a lower target, ties counting half: unchanged by monotone functions."""
    both = mask[..., None, :] & mask[..., :, None]
    below = ((targets[..., None, :] < targets[..., :, None]) & both).sum(-1)
    equal = ((targets[..., None, :] == targets[..., :, None]) & both).sum(-1) - 1
    others = mask.sum(-1, keepdim=True) - 1
    share = (below + equal / 2) / others.clamp(min=1)
    return torch.where(others > 0, share, 0.5).to(targets.dtype)


def _positive_share(rows: Tensor, real: Tensor, temperature: float) -> Tensor:
    """The positive part; the caller divides by the sum."""
    top = rows.amax(-1, keepdim=True)
    # Divided by the greatest first, so that tiny interactions pass the caller's test for an empty row.
    return torch.where(top > 0, rows.clamp(min=0.0) / top.masked_fill(top <= 0, 1.0), torch.zeros_like(rows))


def _shifted_share(rows: Tensor, real: Tensor, temperature: float) -> Tensor:
    """Difference from the row's least entry: keeps the order of negative rows, and gives the least phrase 0."""
    low = rows.masked_fill(~real, float("inf")).amin(-1, keepdim=True)
    return _positive_share((rows - low).masked_fill(~real, 0.0), real, temperature)


def _softmax(rows: Tensor, real: Tensor, temperature: float) -> Tensor:
    """Softmax in units of the row's standard deviation: that of the raw values, which are tiny, is nearly uniform."""
    count = real.sum(-1, keepdim=True).clamp(min=1)
    centred = (rows - rows.sum(-1, keepdim=True) / count) * real
    deviation = (centred.square().sum(-1, keepdim=True) / count).sqrt()
    tiny = deviation <= SMALLEST
    logits = (
        torch.where(tiny, torch.zeros_like(rows), centred / deviation.masked_fill(tiny, 1.0)) / temperature
    )
    return torch.softmax(logits.masked_fill(~real, float("-inf")), dim=-1).nan_to_num(0.0)


SOFT_LABELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "minmax": _minmax,
    "positive": _positive_part,
    "logistic": _logistic,
    "rank": _rank,
}
ROW_DISTRIBUTIONS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "positive": _positive_share,
    "shifted": _shifted_share,
    "softmax": _softmax,
}


def _known(table: dict[str, Rule], name: str, field: str) -> Rule:
    """The entry of a name. Raises InputError, with the known names, when there is none."""
    if name not in table:
        raise InputError(f"{field} is {name!r}; allowed are {', '.join(map(repr, table))}")
    return table[name]
