"""Calls a model always with the same number of rows, so that a pair's score does not depend on its neighbours.

Libraries choose their kernels by the size of a batch, and sums in another order differ in their last bits. Batches
depend on which pairs were looked at before; a score that is compared with a limit must not. So a model sees batches of
one size, filled up with copies of the last row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

ROWS_ON_CPU = 8
"""Rows of a call. On one core more of them are hardly quicker."""
ROWS_ON_GPU = 64


def device_of_process() -> torch.device:
    """The GPU that this process has, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class FixedCalls:
    """Calls of `rows` rows each on a device; by default as many as suit an image encoder.

    Where they do not fit into memory they are halved, for good. Scores may then differ in their last bits from those of
    a machine with more memory; and so they do between a CPU and a GPU, between kinds of either, and between versions of
    torch.
    """

    def __init__(self, device: torch.device, rows: int | None = None) -> None:
        self.device = device
        self.rows = rows or (ROWS_ON_CPU if device.type == "cpu" else ROWS_ON_GPU)

    def __call__(
        self,
        compute: Callable[[Mapping[str, Tensor]], Tensor],
        inputs: Mapping[str, Tensor],
        *,
        stays: bool = False,
    ) -> Tensor:
        """What `compute` returns of all rows [n, ...], in float32 on the CPU. At least one row.

        `stays`: it stays on the device, for another call.
        """
        import torch

        count = len(next(iter(inputs.values())))
        found: list[Tensor] = []
        start = 0
        with inference():
            while start < count:
                chunk = {
                    name: self._filled(tensor[start : start + self.rows]) for name, tensor in inputs.items()
                }
                try:
                    values = compute(chunk).float()
                    values = values if stays else values.cpu()
                except RuntimeError as error:  # torch.OutOfMemoryError is one
                    if self.rows == 1 or not is_out_of_memory(error):
                        raise
                    self.rows //= 2
                    continue
                found.append(values[: count - start])
                start += self.rows
        return torch.cat(found)

    def _filled(self, rows: Tensor) -> Tensor:
        """Rows on the device, the last one repeated up to the size of a call."""
        import torch

        last = rows[-1:].expand(self.rows - len(rows), *rows.shape[1:])
        return torch.cat([rows, last]).to(self.device)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory did not suffice, of the GPU or of the machine.

    On the CPU torch raises a plain RuntimeError, which its text alone tells apart.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)


@contextlib.contextmanager
def inference() -> Iterator[None]:
    """While open, torch computes without gradients, on one core, and on a GPU in full float32."""
    import torch

    threads, tf32 = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32 = tf32
