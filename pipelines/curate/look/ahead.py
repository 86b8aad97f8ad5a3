"""Decodes the next batch of pictures while a model on a GPU looks at this one."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from data_filters.sample import BrokenSample
from pipelines.curate.look.picture import Picture

Batch = tuple[npt.NDArray[np.int64], list[Picture]]
"""Rows of a shard and their pictures."""


def computes_on_gpu() -> bool:
    """Whether this process has loaded torch and has a GPU; on a CPU both would share one core."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())


def decoded_ahead(batches: Iterator[Batch], decode: Callable[[Batch], None]) -> Iterator[Batch]:
    """The same batches in their order, each decoded by a thread while the one before is worked on.

    An error ends the iteration where the batch's turn comes.
    """
    with ThreadPoolExecutor(1) as pool:
        before: tuple[Batch, Future[None]] | None = None
        for batch in batches:
            now = (batch, pool.submit(decode, batch))
            if before is not None:
                yield _ended(*before)
            before = now
        if before is not None:
            yield _ended(*before)


def decode_for(sizes: dict[int, npt.NDArray[np.int64]]) -> Callable[[Batch], None]:
    """Decodes of a batch the rows that need a size; `sizes`: least pixels of the shorter side → rows of the shard.

    A picture that does not decode is left for whoever asks for its pixels.
    """

    def decode(batch: Batch) -> None:
        rows, pictures = batch
        for size, needed in sizes.items():
            for at in np.flatnonzero(np.isin(rows, needed)).tolist():
                with contextlib.suppress(BrokenSample):
                    pictures[at].decoded(size)

    return decode


def _ended(batch: Batch, decoding: Future[None]) -> Batch:
    decoding.result()
    return batch
