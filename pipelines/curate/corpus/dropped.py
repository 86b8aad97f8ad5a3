"""Makes the table of pairs to drop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.curate.corpus.corpus import DROPS

NO_OTHER = -1


def dropped(
    ranks: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64] | npt.NDArray[np.int64],
    others: npt.NDArray[np.int64] | None = None,
) -> pa.Table:
    """DROPS of pairs by their ranks, with the value of each, and the pair on whose account; none where not given."""
    if others is None:
        others = np.full(len(ranks), NO_OTHER, dtype=np.int64)
    return pa.table([ranks, others, values.astype(np.float64)], schema=DROPS)
