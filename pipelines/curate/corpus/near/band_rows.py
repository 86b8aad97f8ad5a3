"""What a shard contributes to the buckets: a row for every band of every content."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.curate.corpus.near.mixing import Bits


def band_rows(
    contents: pa.Table, keys: Bits, items: Bits, alone: npt.NDArray[np.bool_] | None = None
) -> pa.Table:
    """`contents` once for each band, with the column `key` of `keys` (`uint64[rows, bands]`).

    Only the first band is given for copies (of equal `items`) of an earlier row, since equal contents meet in every
    band, and for rows that are `alone`, to which nothing but a copy can be near. `contents` are in order of rank.
    """
    everywhere = np.zeros(len(items), dtype=bool)
    everywhere[np.unique(items, return_index=True)[1]] = True
    if alone is not None:
        everywhere &= ~alone
    # The chunks of a band are those of the others: nothing is copied here.
    bands = [contents] + [contents.filter(pa.array(everywhere))] * (keys.shape[1] - 1)
    key = np.concatenate([keys[:, 0], keys[everywhere, 1:].T.ravel()])
    return pa.concat_tables(bands).append_column("key", pa.array(key))
