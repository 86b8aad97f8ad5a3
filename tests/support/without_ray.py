"""Curation in this process, without Ray: the same functions over the same shards, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest

from pipelines.curate import run
from pipelines.ray_tasks import Actors, Result
from pipelines.shards.unit import Unit


def in_process(
    function: Callable[[Unit], Result],
    units: list[Unit],
    workers: int | None,
    tell: Callable[[Unit, Result], None],
    *,
    keep_results: bool = True,
    actors: Actors | None = None,
) -> list[Result]:
    """`for_each` without Ray; a failure ends it as it is, and what ended before stays."""
    results = []
    for unit in units:
        results.append(function(unit))
        tell(unit, results[-1])
    return results


def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `curate` run in this process; call it from a fixture that also uses `no_ray`."""
    monkeypatch.setattr(run, "for_each", in_process)
    monkeypatch.setattr(run, "running_ray", lambda workers: nullcontext())
