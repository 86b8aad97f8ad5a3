"""Says that large buckets were not compared in full."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.curate.corpus.near.buckets import OVERSIZED


def oversized_notes(counts: Mapping[str, int], cap: int, items: str, bucket: str = "bucket") -> list[str]:
    """The sentence, where there are such buckets: `3 buckets of more than 1,000 captions were compared with ...`."""
    count = counts.get(OVERSIZED, 0)
    if not count:
        return []
    one = count == 1
    return [
        f"{count:,} {bucket}{'' if one else 's'} of more than {cap:,} {items} {'was' if one else 'were'} compared "
        f"with {'its' if one else 'their'} earliest {cap:,} only"
    ]
