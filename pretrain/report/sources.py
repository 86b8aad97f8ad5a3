"""What a report reads: a run's record and metrics, the curation behind its data, the results of evaluations."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from data_filters.errors import InputError
from pretrain.evaluation.results import METRICS
from pretrain.export.scores import way_of

CURATION = "report.json"
_TELLING = (
    "export",
    "data",
    "train",
    "gallery",
    "embedding",
    "calibration",
    "templates",
    "split",
    "keys",
    "scale",
    "budget",
    "options",
)


@dataclass(frozen=True)
class Run:
    """A run on disk; `document` is its config.json, `steps` the lines of its metrics.jsonl."""

    folder: Path
    document: dict[str, Any]
    steps: list[dict[str, Any]]

    @property
    def config(self) -> dict[str, Any]:
        return self.document["config"]


@dataclass(frozen=True)
class Curation:
    """A folder of data and the report of its curation, if it has one."""

    uri: str
    report: dict[str, Any] | None


@dataclass(frozen=True)
class Evaluation:
    """An evaluation's folder and metrics; `data` is a short name for what it was made on, `way` for how.

    No two of a page have task, data and way in common where anything in their metrics tells them apart.
    """

    folder: Path
    result: dict[str, Any]
    data: str
    way: str

    @property
    def task(self) -> str:
        return self.result["task"]

    @property
    def name(self) -> str:
        """Data and way in one text."""
        return ", ".join(part for part in (self.data, self.way) if part)


def read_run(folder: str) -> Run:
    """The run in a folder. Raises InputError when it is none."""
    document = _given(folder, "config.json", "run", "loupe pretrain")
    if not isinstance(document.get("config"), dict):
        raise InputError(f"{folder}/config.json holds no config; give the output folder of `loupe pretrain`")
    return Run(Path(folder), document, _lines(Path(folder) / "metrics.jsonl"))


def read_curations(given: Sequence[str], run: Run | None) -> list[Curation]:
    """The curations of these folders; without any, those of the folders that the run's shards lie in.

    Raises InputError when a given folder has no report; one that was not asked for may lack it.
    """
    if given or run is None:
        return [Curation(uri, _given(uri, CURATION, "curation", "loupe curate")) for uri in given]
    shards = run.document.get("shards", [])
    folders = dict.fromkeys(posixpath.dirname(str(shard["uri"])) for shard in shards)
    return [Curation(uri, _found(uri, CURATION)) for uri in folders]


def read_evaluations(folders: Sequence[str]) -> list[Evaluation]:
    """Raises InputError when a folder holds no metrics."""
    results = [_given(folder, METRICS, "evaluation", "loupe evaluate") for folder in folders]
    for folder, result in zip(folders, results, strict=True):
        if not isinstance(result.get("task"), str):
            raise InputError(f"{folder}/{METRICS} names no task; give the output folder of `loupe evaluate`")
    places = short_names([str(result.get("data", "")) for result in results])
    return [
        Evaluation(Path(folder), result, places[str(result.get("data", ""))], _way(result, results))
        for folder, result in zip(folders, results, strict=True)
    ]


def short_names(uris: Sequence[str]) -> dict[str, str]:
    """{uri: as many of its last parts as tell it from the others}, one at least."""
    parts = {uri: uri.rstrip("/").split("/") for uri in uris}
    names = {}
    for uri, own in parts.items():
        others = [other for place, other in parts.items() if place != uri]
        count = next((n for n in range(1, len(own)) if all(own[-n:] != o[-n:] for o in others)), len(own))
        names[uri] = "/".join(own[-count:])
    return names


def _way(result: dict[str, Any], results: Sequence[dict[str, Any]]) -> str:
    """The way's name, and what tells this result from others of the same task, data and way."""
    way = way_of(result)
    alike = [
        other
        for other in results
        if (other["task"], other.get("data"), way_of(other)) == (result["task"], result.get("data"), way)
    ]
    differing = []
    for key in _TELLING:
        own = result.get(key)
        if all(other.get(key) == own for other in alike):
            continue
        if key == "options" and isinstance(own, list):
            differing += [one for one in own if not all(one in (other.get(key) or ()) for other in alike)]
        elif key == "export":
            differing.append(short_names([str(other.get(key)) for other in alike])[str(own)])
        else:
            differing.append(f"{key} {', '.join(map(str, own)) if isinstance(own, list) else own}")
    return ", ".join(part for part in (way, *differing) if part)


def _given(folder: str, name: str, what: str, command: str) -> dict[str, Any]:
    try:
        data = _bytes(folder, name)
        found = json.loads(data)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"{what} is {folder!r}, which has no {name}; give the output folder of `{command}`"
        ) from None
    except ValueError as error:
        raise InputError(f"{folder}/{name} is no JSON ({error}); run `{command}` again") from error
    if not isinstance(found, dict):
        raise InputError(f"{folder}/{name} holds no object; run `{command}` again")
    return found


def _found(folder: str, name: str) -> dict[str, Any] | None:
    """The same of a folder that nobody named: data may have moved, or never have been curated."""
    try:
        found = json.loads(_bytes(folder, name))
    except (OSError, ValueError, ImportError):
        return None
    return found if isinstance(found, dict) else None


def _bytes(folder: str, name: str) -> bytes:
    fs, path = fsspec.url_to_fs(folder)
    return fs.cat_file(posixpath.join(path, name))


def _lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines of a metrics file; one that a kill cut short ends the list."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
