"""What a report reads: a run's record and metrics, the curation behind its data, the results of evaluations."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_filters.errors import InputError
from pipelines.common.files import filesystem
from pretrain.evaluation.results import METRICS
from pretrain.evaluation.scores import method_of, setting_names
from pretrain.training.metrics import read_metrics

# A JSON object that another command wrote. Any: keys and values differ by command and by task, and are checked where
# they are used.
Json = dict[str, Any]

CURATION = "report.json"


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
    """An evaluation's folder and metrics; `data` is a short name for its data, `method` for its method.

    No two of a page have task, data and method in common where their exports or settings differ.
    """

    folder: Path
    result: Json
    data: str
    method: str

    @property
    def task(self) -> str:
        return str(self.result["task"])

    @property
    def name(self) -> str:
        """Data and method in one text."""
        return ", ".join(part for part in (self.data, self.method) if part)


def read_run(folder: str) -> Run:
    """Read the run in a folder. Raises InputError when there is none."""
    document = _read(folder, "config.json", "run", "loupe pretrain")
    if not isinstance(document.get("config"), dict):
        raise InputError(f"{folder}/config.json holds no config; give the output folder of `loupe pretrain`")
    return Run(Path(folder), document, read_metrics(Path(folder)))


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
        Evaluation(Path(folder), result, names[str(result.get("data", ""))], _method(result, results))
        for folder, result in zip(folders, results, strict=True)
    ]


def short_names(uris: Sequence[str]) -> dict[str, str]:
    """{uri: the shortest unique suffix of each URI}, one part at least."""
    parts = {uri: uri.rstrip("/").split("/") for uri in uris}
    names = {}
    for uri, uri_parts in parts.items():
        others = [other for place, other in parts.items() if place != uri]
        counts = (
            n for n in range(1, len(uri_parts)) if all(uri_parts[-n:] != other[-n:] for other in others)
        )
        names[uri] = "/".join(uri_parts[-next(counts, len(uri_parts)) :])
    return names


def _method(result: Json, results: Sequence[Json]) -> str:
    """The method's name, and the settings that differ from those of other results of the same task, data and method."""
    method = method_of(result)
    alike = [
        other
        for other in results
        if (other["task"], other.get("data"), method_of(other))
        == (result["task"], result.get("data"), method)
    ]
    differing = []
    for key in dict.fromkeys(("export", *setting_names(result))):
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
    return ", ".join(part for part in (method, *differing) if part)


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
    """Like `_read`, but returns None when the file is missing or broken."""
    try:
        document = json.loads(_bytes(folder, name))
    except (OSError, ValueError, ImportError):
        return None
    return document if isinstance(document, dict) else None


def _bytes(folder: str, name: str) -> bytes:
    fs, path = filesystem(folder)
    content: bytes = fs.cat_file(posixpath.join(path, name))
    return content
