"""Token sequences of many items, in a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from data_filters.errors import InputError


class TokenFile:
    """Real tokens of one item after another in a temporary file, fp32; any items can be read back.

    The patches of a gallery of 5,000 images at 224 px are gigabytes, of which one block at a time is read.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as this object
        self._ends = [0]
        self._width = 0

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, tokens: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"]) -> None:
        """Append items, without the tokens that `mask` leaves out. Raises InputError when a token is not finite."""
        real = tokens[mask].float().cpu()
        if not real.isfinite().all():
            raise InputError(
                "the export's tokens are not finite: its training diverged; export another checkpoint"
            )
        self._width = tokens.shape[2]
        self._file.seek(self._ends[-1] * self._width * 4)
        self._file.write(real.numpy().tobytes())
        for count in mask.sum(1).tolist():
            self._ends.append(self._ends[-1] + count)

    def read(
        self, items: Sequence[int], device: torch.device | None = None
    ) -> tuple[Float[Tensor, "B N D"], Bool[Tensor, "B N"]]:
        """(tokens, mask) of the items of those numbers, padded with zeros to the longest, one token at least."""
        counts = [self._ends[item + 1] - self._ends[item] for item in items]
        tokens = torch.zeros(len(counts), max([1, *counts]), self._width)
        for row, (item, count) in enumerate(zip(items, counts, strict=True)):
            self._file.seek(self._ends[item] * self._width * 4)
            flat = np.frombuffer(bytearray(self._file.read(count * self._width * 4)), dtype=np.float32)
            tokens[row, :count] = torch.from_numpy(flat).view(count, self._width)
        mask = torch.arange(tokens.shape[1]) < torch.tensor(counts)[:, None]
        return tokens.to(device), mask.to(device)
