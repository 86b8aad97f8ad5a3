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

# A JSON object that another command wrote. Any: keys and values differ by command and by task, and are checked where
# they are used.
Json = dict[str, Any]

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
"""Entries of metrics.json that may tell two evaluations of a task apart, in the order in which they are named."""


@dataclass(frozen=True)
class Run:
    """A run on disk; `document` is its config.json, `steps` the lines of its metrics.jsonl."""

    folder: Path
    document: Json
    steps: list[Json]

    @property
    def config(self) -> Json:
        config: Json = self.document["config"]
        return config


@dataclass(frozen=True)
class Curation:
    """A folder of data and the report of its curation, if it has one."""

    uri: str
    report: Json | None


@dataclass(frozen=True)
class Evaluation:
    """An evaluation's folder and metrics; `data` is a short name for what it was made on, `way` for how.

    No two of a page have task, data and way in common where anything in their metrics tells them apart.
    """

    folder: Path
    result: Json
    data: str
    way: str

    @property
    def task(self) -> str:
        return str(self.result["task"])

    @property
    def name(self) -> str:
        """Data and way in one text."""
        return ", ".join(part for part in (self.data, self.way) if part)


def read_run(folder: str) -> Run:
    """Read the run in a folder. Raises InputError when there is none."""
    document = _read(folder, "config.json", "run", "loupe pretrain")
    if not isinstance(document.get("config"), dict):
        raise InputError(f"{folder}/config.json holds no config; give the output folder of `loupe pretrain`")
    return Run(Path(folder), document, _lines(Path(folder) / "metrics.jsonl"))


def read_curations(given: Sequence[str], run: Run | None) -> list[Curation]:
    """Read the curations of these folders; without any, those of the folders that the run's shards lie in.

    Raises InputError when a given folder has no report; a folder of the run's shards may lack it.
    """
    if given or run is None:
        return [Curation(uri, _read(uri, CURATION, "curation", "loupe curate")) for uri in given]
    shards = run.document.get("shards", [])
    folders = dict.fromkeys(posixpath.dirname(str(shard["uri"])) for shard in shards)
    return [Curation(uri, _read_if_present(uri, CURATION)) for uri in folders]


def read_evaluations(folders: Sequence[str]) -> list[Evaluation]:
    """Read the results in these folders. Raises InputError when one holds no metrics."""
    results = [_read(folder, METRICS, "evaluation", "loupe evaluate") for folder in folders]
    for folder, result in zip(folders, results, strict=True):
        if not isinstance(result.get("task"), str):
            raise InputError(f"{folder}/{METRICS} names no task; give the output folder of `loupe evaluate`")
    names = short_names([str(result.get("data", "")) for result in results])
    return [
        Evaluation(Path(folder), result, names[str(result.get("data", ""))], _way(result, results))
        for folder, result in zip(folders, results, strict=True)
    ]


def short_names(uris: Sequence[str]) -> dict[str, str]:
    """{uri: as many of its last parts as tell it from the others}, one at least."""
    parts = {uri: uri.rstrip("/").split("/") for uri in uris}
    names = {}
    for uri, own in parts.items():
        others = [other for place, other in parts.items() if place != uri]
        counts = (n for n in range(1, len(own)) if all(own[-n:] != other[-n:] for other in others))
        names[uri] = "/".join(own[-next(counts, len(own)) :])
    return names


def _way(result: Json, results: Sequence[Json]) -> str:
    """The way's name, and what tells this result from others of the same task, data and way."""
    way = way_of(result)
    alike = [
        other
        for other in results
        if (other["task"], other.get("data"), way_of(other)) == (result["task"], result.get("data"), way)
    ]
    differing = []
    for key in _TELLING:
        value = result.get(key)
        if all(other.get(key) == value for other in alike):
            continue
        if key == "options" and isinstance(value, list):
            shared = [option for option in value if all(option in (other.get(key) or ()) for other in alike)]
            differing += [option for option in value if option not in shared]
        elif key == "export":
            differing.append(short_names([str(other.get(key)) for other in alike])[str(value)])
        else:
            differing.append(f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return ", ".join(part for part in (way, *differing) if part)


def _read(folder: str, name: str, what: str, command: str) -> Json:
    """A JSON object in a folder that the user named. Raises InputError when it is missing or broken."""
    try:
        document = json.loads(_bytes(folder, name))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"{what} is {folder!r}, which has no {name}; give the output folder of `{command}`"
        ) from None
    except ValueError as error:
        raise InputError(f"{folder}/{name} is no JSON ({error}); run `{command}` again") from error
    if not isinstance(document, dict):
        raise InputError(f"{folder}/{name} holds no object; run `{command}` again")
    return document


def _read_if_present(folder: str, name: str) -> Json | None:
    """The same of a folder that nobody named: its data may have moved, or never have been curated."""
    try:
        document = json.loads(_bytes(folder, name))
    except (OSError, ValueError, ImportError):
        return None
    return document if isinstance(document, dict) else None


def _bytes(folder: str, name: str) -> bytes:
    fs, path = fsspec.url_to_fs(folder)
    content: bytes = fs.cat_file(posixpath.join(path, name))
    return content


def _lines(path: Path) -> list[Json]:
    """Whole lines of a metrics file; one that a kill cut short ends the list."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines
