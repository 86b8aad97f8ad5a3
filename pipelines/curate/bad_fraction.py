"""Ends a run of whose samples too many cannot be read."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.common.causes import RunFailed
from pipelines.curate.funnel import Funnel
from pipelines.curate.scores.storage import first_quarantined
from pipelines.shards.unit import Unit


class TooManyBadSamples(RunFailed):
    """More samples cannot be read than `max_bad_fraction` allows: something is wrong with the input."""


def check_bad_fraction(funnel: Funnel, most: float, units: Sequence[Unit], output: str | None) -> None:
    """Raise TooManyBadSamples when more than the fraction `most` of all samples cannot be read.

    `output`: where the quarantine of `units` lies; None where nothing is written.
    """
    if funnel.quarantined <= most * funnel.samples:
        return
    reasons = ", ".join(f"{reason} {count}" for reason, count in funnel.quarantine.items())
    about = " (estimated)" if funnel.estimated else ""
    first = first_quarantined(units, output) if output else None
    example = f"; the first is {first}" if first else ""
    where = f"{example}; see {output}/quarantine/*.parquet" if output else ""
    raise TooManyBadSamples(
        f"{funnel.quarantined} of {funnel.samples} samples{about} cannot be read ({reasons}), more than "
        f"max_bad_fraction {most}{where}; mend the shards or raise max_bad_fraction"
    )
