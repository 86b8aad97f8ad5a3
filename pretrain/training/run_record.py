"""RUN/config.json: the recipe, the data with its sha256s, and what was changed in the data since the run began."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from data_filters.errors import InputError
from pipelines.common.files import write_json
from pretrain.data.order.mixture import shares_of
from pretrain.data.shards.shard_records import ShardRecord
from pretrain.data.shards.source import split_weight

NAME = "config.json"


class ShardChange(TypedDict):
    """A shard whose bytes changed, as two values each: before and after; None where there was or is no such shard.

    `step`: optimiser steps of the checkpoint from which the run went on with it.
    """

    step: int
    shard: str
    sha256: tuple[str | None, str | None]
    samples: tuple[int | None, int | None]


@dataclass(frozen=True)
class RunRecord:
    """What RUN/config.json says of a run; `config` holds the values of its recipe as JSON."""

    config: Mapping[str, Any]
    shards: tuple[ShardRecord, ...]
    shares: tuple[int, ...] | None
    total_steps: int
    changes: tuple[ShardChange, ...]


def read_run_record(folder: Path) -> RunRecord | None:
    """Read the record of the run in an output folder; None where nothing is in the folder yet.

    Raises InputError when the folder is a file, holds something else, or its record is not understood.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output {folder} is a file; give a folder")
    file = folder / NAME
    if not file.exists():
        # Hidden: what a start leaves that was killed before it wrote the record, such as a temporary file.
        if folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise InputError(f"output {folder} is not empty and holds no run; give a new folder")
        return None
    try:
        document = json.loads(file.read_bytes())
        return RunRecord(
            config=dict(document["config"]),
            shards=tuple(_shard(shard) for shard in document["shards"]),
            shares=_shares(document),
            total_steps=int(document["total_steps"]),
            changes=tuple(document.get("changes", ())),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} is not understood ({type(error).__name__}: {error}); give a new folder, or restore that file"
        ) from error


# Any: values as JSON holds them.
def write_run_record(folder: Path, record: RunRecord, data: Sequence[str], config_hash: str) -> None:
    """Write RUN/config.json: the record, what was given as data, and the hash of recipe and data."""
    document = {
        "config": record.config,
        "data": ", ".join(data),
        "shards": record.shards,
        "shares": record.shares,
        "total_steps": record.total_steps,
        "config_hash": config_hash,
        "changes": record.changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / NAME, document, ensure_ascii=True, end="")


def _shard(values: Mapping[str, Any]) -> ShardRecord:
    """A shard as a version wrote it that may not have known its witness."""
    return {
        "uri": str(values["uri"]),
        "samples": int(values["samples"]),
        "sha256": str(values["sha256"]),
        "witness": values.get("witness"),
    }


def _shares(document: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The shares of a mixture; in the record of a version that did not write them, those of the weights in `data`."""
    if "shares" in document:
        return None if document["shares"] is None else tuple(document["shares"])
    weights = [split_weight(uri)[1] for uri in str(document["data"]).split(", ")]
    known = [weight for weight in weights if weight is not None]
    return shares_of(known) if known and len(known) == len(weights) else None
