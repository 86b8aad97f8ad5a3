"""Interactions into labels: their scale means nothing (it depends on the model, the sizes and the number of players),
so each image's are made comparable by themselves.

Shapes: B images, M regions, N phrases. Masked-out entries are 0 in every result.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from data_filters.errors import InputError

SMALLEST = 1e-12


def soft_labels(
    targets: Float[Tensor, "B M"], mask: Bool[Tensor, "B M"], how: str = "minmax"
) -> Float[Tensor, "B M"]:
    """Labels in [0, 1] for the confidences of an image's regions (L_TSA, eq. 8). `how` is a key of `SOFT_LABELS`.

    The default is "minmax". L_TSA asks which of the candidates of this image are objects, hence a ranking within
    the image is what matters, and shift and scale of the target must not: the same caption gives small regions
    negative and large ones positive interactions, so that zero is no natural threshold. Min-max is the one choice here
    that is blind to both and keeps ratios of differences, which "rank" throws away. Its weak spot, that it
    stretches pure noise to the full range, is met by giving a standard error's worth of regions no supervision,
    not here. Raises InputError for an unknown name.
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

    The default is "positive": each phrase's share of the row's positive interactions. Zero interaction means that
    region and phrase ignore each other, negative that they hinder each other: neither deserves probability, however
    the other phrases do, and a dummy phrase gets exactly 0. It has no temperature and no unit. A row without a positive
    entry is uniform: it says nothing, and asks for nothing but indifference. `temperature` is that of "softmax", in
    standard deviations of the row. For columns over regions, pass the transpose. Raises InputError for an
    unknown name.
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
    """Least 0, greatest 1, linear between; all equal (or a single one): 0.5."""
    high = targets.masked_fill(~mask, float("-inf")).amax(-1, keepdim=True)
    low = targets.masked_fill(~mask, float("inf")).amin(-1, keepdim=True)
    width = (high - low).nan_to_num(0.0, 0.0, 0.0)
    tiny = width <= SMALLEST
    return torch.where(tiny, torch.full_like(targets, 0.5), (targets - low) / width.masked_fill(tiny, 1.0))


def _positive_part(targets: Tensor, mask: Tensor) -> Tensor:
    """The positive part over the greatest: for targets whose zero means something ("value")."""
    positive = targets.clamp(min=0.0)
    top = positive.amax(-1, keepdim=True)
    return torch.where(top > SMALLEST, positive / top.clamp(min=SMALLEST), torch.zeros_like(positive))


def _logistic(targets: Tensor, mask: Tensor) -> Tensor:
    """Logistic function of the standardised target: robust to one outlier, never quite 0 or 1."""
    count = mask.sum(-1, keepdim=True).clamp(min=1)
    centred = (targets - targets.sum(-1, keepdim=True) / count) * mask
    deviation = (centred.square().sum(-1, keepdim=True) / count).sqrt()
    tiny = deviation <= SMALLEST
    return torch.sigmoid(
        torch.where(tiny, torch.zeros_like(centred), centred / deviation.masked_fill(tiny, 1.0))
    )


def _rank(targets: Tensor, mask: Tensor) -> Tensor:
    """Share of the image's other regions that lie below, ties counting half: any monotone change leaves it."""
    both = mask[..., None, :] & mask[..., :, None]
    below = ((targets[..., None, :] < targets[..., :, None]) & both).sum(-1)
    equal = ((targets[..., None, :] == targets[..., :, None]) & both).sum(-1) - 1
    others = mask.sum(-1, keepdim=True) - 1
    share = (below + equal / 2) / others.clamp(min=1)
    return torch.where(others > 0, share, 0.5).to(targets.dtype)


def _positive_share(rows: Tensor, real: Tensor, temperature: float) -> Tensor:
    """The positive part; the caller makes it a share."""
    top = rows.amax(-1, keepdim=True)
    # Over the greatest first, so that interactions of any size pass the caller's test for an empty row.
    return torch.where(top > 0, rows.clamp(min=0.0) / top.masked_fill(top <= 0, 1.0), torch.zeros_like(rows))


def _shifted_share(rows: Tensor, real: Tensor, temperature: float) -> Tensor:
    """Above the row's least entry: keeps the order of negative rows, gives the least phrase 0."""
    low = rows.masked_fill(~real, float("inf")).amin(-1, keepdim=True)
    return _positive_share((rows - low).masked_fill(~real, 0.0), real, temperature)


def _softmax(rows: Tensor, real: Tensor, temperature: float) -> Tensor:
    """Softmax in units of the row's standard deviation: of the raw values, tiny as they are, it would be uniform."""
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


def _known(table: dict[str, Any], name: str, field: str) -> Any:
    if name not in table:
        raise InputError(f"{field} is {name!r}; allowed are {', '.join(map(repr, table))}")
    return table[name]
