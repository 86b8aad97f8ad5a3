"""The first samples of every reason for which they could not be read, for the report."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypedDict

from pipelines.common.files import join, read_parquet
from pipelines.curate.scores.storage import DAMAGED

SHOWN = 3  # samples of a reason
MOST_FILES = 200  # that are read to find them


class QuarantineExample(TypedDict):
    """A sample that could not be read; `key` is empty where the damage has none."""

    reason: str
    shard: str
    key: str
    exception: str


def quarantine_examples(
    output: str, files: Iterable[str], reasons: Collection[str]
) -> list[QuarantineExample]:
    """The first samples of each reason, by reason, in the order of `files`, which are paths in `output`.

    Files are read until every reason has SHOWN samples, MOST_FILES at most.
    """
    found: dict[str, list[QuarantineExample]] = {reason: [] for reason in sorted(reasons)}
    for number, file in enumerate(files):
        if number == MOST_FILES or all(len(of_reason) >= SHOWN for of_reason in found.values()):
            break
        for row in _rows(join(output, file)):
            of_reason = found.get(row["reason"])
            if of_reason is not None and row["count"] and len(of_reason) < SHOWN:
                of_reason.append(
                    QuarantineExample(
                        reason=row["reason"],
                        shard=row["shard"],
                        key=row["key"] or "",
                        exception=row["exception"],
                    )
                )
    return [example for of_reason in found.values() for example in of_reason]


# Any: the values of QUARANTINE_SCHEMA.
def _rows(uri: str) -> list[dict[str, Any]]:
    try:
        table = read_parquet(uri)
    except DAMAGED:
        return []
    return [] if table is None else table.to_pylist()
