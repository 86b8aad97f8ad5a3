"""RUN/keys/rank-R-of-N.jsonl: the keys of the samples that each rank trained on, one JSON object per step."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.common.files import write_text

FOLDER = "keys"


def append_keys(run: Path, rank: int, ranks: int, step: int, keys: list[str]) -> None:
    """Append the sample keys of one step to this rank's file."""
    path = run / FOLDER / f"rank-{rank}-of-{ranks}.jsonl"
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps({"step": step, "keys": keys}) + "\n")


def drop_keys_from(run: Path, first_step: int) -> None:
    """Drop the lines of `first_step` and later steps from the files of all ranks, whatever their number.

    A run that resumes does these steps again. A last line that a kill cut short is dropped too. Only one rank may call
    it, before any appends.
    """
    for path in sorted((run / FOLDER).glob("rank-*-of-*.jsonl")):
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if _step(line) < first_step]
        if len(kept) < len(lines):
            write_text(path, "".join(kept))


def _step(line: str) -> float:
    """Return the step of a line; infinity for a line that a kill cut short."""
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else float("inf")
    except (ValueError, KeyError, TypeError):
        return float("inf")
