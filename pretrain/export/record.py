"""The record of an export, `export.json`: the run, its whole recipe and its data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.common.files import read_json
from pretrain.objectives import OBJECTIVES

RECORD = "export.json"


def read_record(export: str | Path) -> dict[str, Any]:
    """The record's content; empty for a folder without one, such as another project's checkpoint."""
    record: dict[str, Any] | None = read_json(Path(export) / RECORD)
    return {} if record is None else record


def objective_options(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """All options of an objective that a recorded recipe names: as recorded, else the objective's own default.

    A recipe that was recorded in full holds every option; an older one holds those that differ from the defaults.
    """
    defaults = OBJECTIVES[name].options().model_dump() if name in OBJECTIVES else {}
    return defaults | config["objectives"][name]
