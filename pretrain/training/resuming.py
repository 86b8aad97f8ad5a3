"""What differs between the run in an output folder and the one that is to go on in it: settings, or bytes of shards.

Settings are compared one by one, not by a hash: a key that a version adds has its default in older records, and a key
that no longer decides what is learned is not compared.
"""

from __future__ import annotations

import json
import logging
import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data_filters.errors import InputError
from pipelines.common.config import Difference, differences, output_settings
from pretrain.config import PretrainConfig
from pretrain.data.shards.shard_records import ShardRecord
from pretrain.tasks import read_config
from pretrain.training.run_record import RunRecord, ShardChange

logger = logging.getLogger(__name__)

SHOWN = 5  # shards that a message names
ORDER = "the order of the shards"


# Any: values as JSON holds them.
def changed_settings(stored: Mapping[str, Any], config: PretrainConfig) -> list[Difference]:
    """The settings that decide what is learned and differ between a stored recipe and `config`.

    Raises ValueError, with the reason, when the stored recipe cannot be read, as when a version no longer has a key.
    """
    return differences(output_settings(stored_config(stored)), output_settings(config))


# Any: values as JSON holds them.
def stored_config(stored: Mapping[str, Any]) -> PretrainConfig:
    """Read a stored recipe. Raises ValueError, with the reason in one line, when this version cannot."""
    try:
        return read_config(stored)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'recipe'}: {first['msg']}") from error


def earlier_config(folder: Path, record: RunRecord) -> PretrainConfig:
    """Read the recipe of the run in an output folder. Raises InputError when this version does not understand it."""
    try:
        return stored_config(record.config)
    except ValueError as error:  # InputError too, of an unknown task
        raise InputError(
            f"output {folder} holds a run whose recipe this version does not understand ({error}); give a new folder, "
            "or go on with the version that wrote it"
        ) from error


def named_settings(changes: Sequence[Difference]) -> str:
    """Every setting with both values, for a message: `seed is 0 there, 1 here`."""
    return ", ".join(f"{key} is {_shown(theirs)} there, {_shown(mine)} here" for key, theirs, mine in changes)


def check_settings(
    folder: Path, record: RunRecord, config: PretrainConfig, shares: tuple[int, ...] | None
) -> None:
    """Raise InputError when the run in `folder` learns with other settings, naming each with both values."""
    changes = differences(output_settings(earlier_config(folder, record)), output_settings(config))
    if record.shares != shares:
        changes.append(Difference("the mixture's shares (--data URI=WEIGHT)", record.shares, shares))
    if changes:
        raise InputError(
            f"output {folder} holds a run that learns with other settings: {named_settings(changes)}; set them as they "
            f"are there (--set KEY=VALUE) to resume it, or give a new folder (start.weights={folder} begins with its "
            "weights)"
        )


def data_changes(
    folder: Path, record: RunRecord, shards: Sequence[ShardRecord], steps: int, done: int, accepted: bool
) -> tuple[ShardChange, ...]:
    """Return every change of the data since the run began, those of now, after `done` of `steps` steps, included.

    Raises InputError when shards changed and that is not `accepted`; otherwise logs a warning that names them.
    """
    changes = changed_shards(record.shards, shards, done)
    if changes and not accepted:
        raise InputError(
            f"output {folder} holds a run on other data: {named_shards(changes)}; to go on with mended data add "
            "--accept-changed-data, which the run's record then says; otherwise give the data of that run, or a new "
            "folder"
        )
    if changes:
        order = (
            f"; the number of samples changed, so from step {done} on they come in another order, and the run has "
            f"{steps} steps (before: {record.total_steps})"
        )
        logger.warning(
            "goes on from step %d with changed data: %s%s",
            done,
            named_shards(changes),
            order if _order_changes(changes) else "",
        )
    return (*record.changes, *changes)


def changed_shards(there: Sequence[ShardRecord], here: Sequence[ShardRecord], step: int) -> list[ShardChange]:
    """The shards whose bytes differ between a run's record and the data of now, by their names; `step` is noted."""
    if len(there) == len(here) and all(map(_same_bytes, there, here)):
        return []
    before, now = _by_name(there, here)
    changes = [
        _change(step, name, before.get(name), now.get(name))
        for name in sorted({*before, *now})
        if not (name in before and name in now and _same_bytes(before[name], now[name]))
    ]
    return changes or [{"step": step, "shard": ORDER, "sha256": (None, None), "samples": (None, None)}]


def named_shards(changes: Sequence[ShardChange]) -> str:
    """The first changed shards with both sha256s and counts, and how many more there are, for a message."""
    more = f", and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return ", ".join(map(_named_shard, changes[:SHOWN])) + more


def _order_changes(changes: Sequence[ShardChange]) -> bool:
    """Whether the accepted changes give the samples another order: another number of samples or of shards."""
    return any(change["samples"][0] != change["samples"][1] or change["shard"] == ORDER for change in changes)


def _named_shard(change: ShardChange) -> str:
    (old, new), (count, now) = change["sha256"], change["samples"]
    if change["shard"] == ORDER:
        return ORDER
    if count is None:
        return f"{change['shard']} is new ({now} samples)"
    if now is None:
        return f"{change['shard']} is gone ({count} samples)"
    counts = f"{count} samples" if count == now else f"{count} samples there, {now} here"
    return f"{change['shard']} has other bytes (sha256 {_short(old)} there, {_short(new)} here; {counts})"


def _short(sha256: str | None) -> str:
    return f"{sha256[:12]}…" if sha256 else "unknown"


def _shown(value: object) -> str:
    return "absent" if value is None else json.dumps(value)


def _change(step: int, name: str, before: ShardRecord | None, now: ShardRecord | None) -> ShardChange:
    return {
        "step": step,
        "shard": name,
        "sha256": (before and before["sha256"], now and now["sha256"]),
        "samples": (before and before["samples"], now and now["samples"]),
    }


def _same_bytes(there: ShardRecord, here: ShardRecord) -> bool:
    """Whether two records are of the same bytes, cut into the same number of samples."""
    if there["samples"] != here["samples"]:
        return False
    if there["sha256"] and here["sha256"]:
        return there["sha256"] == here["sha256"]
    if there["witness"] and here["witness"]:
        return there["witness"] == here["witness"]
    # A record of a version that knew only names and counts of tars without manifests.
    return posixpath.basename(there["uri"]) == posixpath.basename(here["uri"])


def _by_name(*lists: Sequence[ShardRecord]) -> list[dict[str, ShardRecord]]:
    """Each list as a dictionary by file name; by URI where two shards of a list have the same name."""
    names = [[posixpath.basename(record["uri"]) for record in records] for records in lists]
    if any(count > 1 for of_list in names for count in Counter(of_list).values()):
        names = [[record["uri"] for record in records] for records in lists]
    return [dict(zip(of_list, records, strict=True)) for of_list, records in zip(names, lists, strict=True)]
