"""Contents that a large part of a corpus has: only the earliest of each is compared, its copies go on its account."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.curate.corpus.corpus import Corpus, Reduce, Select
from pipelines.curate.corpus.hot_groups import Verdicts, hot_groups, shuffle_apart


def shuffle_without_copies(
    corpus: Corpus,
    columns: Sequence[str],
    select: Select,
    reduce: Reduce,
    groups: Select,
    row_bytes: int,
    *,
    equal: float,
) -> None:
    """`corpus.shuffle`, to the same drops, without the copies of hot contents.

    Args:
        groups: makes `key` and `rank` (and `same_0`, ...), the same for equal contents.
        row_bytes: of a row that `select` makes.
        equal: the value of a drop of a copy.
    """
    hot = hot_groups(corpus, columns, groups, row_bytes)
    verdicts = None
    if hot is not None:
        number = hot.table.num_rows
        verdicts = Verdicts(hot, np.ones(number, np.bool_), np.full(number, equal))
    shuffle_apart(corpus, columns, select, reduce, groups, verdicts, keep_first=True)
