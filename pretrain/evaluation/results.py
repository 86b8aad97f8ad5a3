"""The output folder of an evaluation: whether it may be written, and its `metrics.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_filters.errors import InputError
from pipelines.common.files import write_json

METRICS = "metrics.json"
_FILES = ("metrics", "examples", "detections", "ground_truth")


def claim_output(output: str, identity: Mapping[str, Any]) -> None:
    """Check that a folder may take the results of the evaluation that `identity` describes.

    The same evaluation may be repeated and replaces its results. Raises InputError, before any work, when the folder
    holds the results of another evaluation or other files.
    """
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output {output!r} is a file; give a folder")
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(
            f"output {output!r} cannot be written, since {str(nearest)!r} is no folder to write into"
        )
    file = folder / METRICS
    if not file.is_file():
        # What an interrupted evaluation leaves: half a metrics.json, or examples of versions that wrote them first.
        if folder.is_dir() and any(not path.name.lstrip(".").startswith(_FILES) for path in folder.iterdir()):
            raise InputError(
                f"output {output!r} is not empty and holds no {METRICS}; give a new or empty folder"
            )
        return
    try:
        metrics = json.loads(file.read_bytes())
        differing = [name for name, value in identity.items() if metrics.get(name) != value]
    except (ValueError, AttributeError):
        raise InputError(f"{file} is not understood; give a new folder with --output") from None
    if differing:
        name = differing[0]
        raise InputError(
            f"output {output!r} holds results with {name} {metrics.get(name)!r}, this is {name} {identity[name]!r}; "
            "nothing was changed; give a new folder with --output"
        )


def write_metrics(output: str, metrics: Mapping[str, Any]) -> None:
    """Write `metrics.json`, before any example: under a temporary name, then renamed."""
    write_json(Path(output) / METRICS, metrics, indent=2)
