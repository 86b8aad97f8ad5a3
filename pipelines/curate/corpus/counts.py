"""Counts that a rule's `reduce` returns beside its drops: in the schema's metadata, added up over all its calls."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping

import pyarrow as pa

from pipelines.curate.corpus.corpus import DROPS

COUNTS = b"counts"
"""Key of a table's schema metadata: a JSON object of counts."""


def drops_with_counts(columns: list[pa.Array], counts: Mapping[str, int]) -> pa.Table:
    """DROPS of these columns that carry counts."""
    return pa.Table.from_arrays(columns, schema=DROPS.with_metadata({COUNTS: json.dumps(dict(counts))}))


def counts_of(drops: pa.Table) -> dict[str, int]:
    """The counts that a table carries; empty where it carries none."""
    return dict(json.loads((drops.schema.metadata or {}).get(COUNTS, b"{}")))


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sums by name, in the order of the names, whatever the order of the counts."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))
