"""A file of finished cells, one JSON line each, that outlives the folders of their trainings.

A cell whose line fits the plan is not run again: a table can be completed on another day or machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from cluster.ablation.records import Job, Result
from data_filters.errors import InputError
from pipelines.common.files import write_text

KEYS: dict[str, type | tuple[type, ...]] = {
    "row": str,
    "seed": int,
    "identity": str,
    "steps": int,
    "start": (dict, type(None)),
    "training": dict,
    "evaluations": dict,
}


def read_finished(file: Path | None) -> list[Result]:
    """The results in `file`; none where there is no file. Raises InputError naming a line that is no result."""
    if file is None or not file.is_file():
        return []
    results = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            result = json.loads(line)
            missing = [key for key, kind in KEYS.items() if not isinstance(result.get(key, ...), kind)]
        except (ValueError, AttributeError):
            missing = list(KEYS)
        if missing:
            raise InputError(
                f"{file}, line {number} is no result of a cell (missing or of another kind: {', '.join(missing)}); "
                "remove that line, or give another --finished"
            )
        results.append(result)
    return results


def result_of(job: Job, finished: Iterable[Result]) -> Result | None:
    """The last of the results that has the training and all evaluations of a job; None where there is none."""
    wanted = {evaluation["name"]: evaluation["identity"] for evaluation in job["evaluations"]}
    found = None
    for result in finished:
        same = all(result[key] == job[key] for key in ("row", "seed", "identity"))
        measured = {name: scores.get("identity") for name, scores in result["evaluations"].items()}
        if same and all(measured.get(name) == identity for name, identity in wanted.items()):
            found = result
    return found


def append_finished(file: Path | None, results: Sequence[Result]) -> None:
    """Append the results that the file does not hold yet, a line each; the file is replaced as a whole."""
    if file is None:
        return
    known = read_finished(file)
    new = [result for result in results if result not in known]
    if new:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, "".join(json.dumps(result, sort_keys=True) + "\n" for result in [*known, *new]))
