"""What of an output stands when a run starts again: commits with unchanged raw shards and a whole tar.

A shard's bytes are its sha256 (`pipelines.shards.witness`). The listing of a folder shows which raw shards are
unchanged (`pipelines.curate.catalogue`); the others are looked at one by one, by the witness that is kept with their
facts.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from data_filters.errors import InputError
from pipelines.common.files import filesystem, join, remove_file
from pipelines.curate.catalogue import Catalogue
from pipelines.curate.scores.storage import (
    QUARANTINE,
    confirm,
    read_identity,
    renew_identity,
    scores_uri,
    stored_groups,
)
from pipelines.curate.status import decisions_uri, status_uri
from pipelines.shards.manifest import Manifest, manifest_uri
from pipelines.shards.storage import index_name
from pipelines.shards.unit import Unit
from pipelines.shards.witness import read_sha256

READERS = 32  # files that are looked at or read at the same time


@dataclass
class Standing:
    """What an output holds of this input.

    `committed`: curated shards that stand, by name. By name of raw shards: `changed`, which have other bytes now, and
    `withdrawn`, which the input has no more. `damaged`: curated shards whose tar or index is missing or was altered.
    `fallen`: all curated shards with a manifest that do not stand.
    """

    committed: dict[str, Manifest] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    fallen: list[str] = field(default_factory=list)

    @property
    def covered(self) -> set[str]:
        """The raw shards whose curated shard stands."""
        return {part["name"] for manifest in self.committed.values() for part in manifest["inputs"]}


def take_stock(
    units: Sequence[Unit],
    manifests: Mapping[str, Manifest],
    output: str,
    *,
    verify: bool = False,
    write: bool = True,
    catalogue: Catalogue | None = None,
) -> Standing:
    """Look at every committed shard and its raw shards; with `verify` their bytes are read, whatever the witness says.

    `catalogue`: that of these units and this output, by default read here.

    Raises InputError when a raw shard has another URI and other bytes than the commit of its name.
    """
    by_name = {unit.name: unit for unit in units}
    inputs = [(name, part) for name, manifest in manifests.items() for part in manifest["inputs"]]
    known = [(name, part, by_name[part["name"]]) for name, part in inputs if part["name"] in by_name]
    found = Standing(withdrawn=sorted(part["name"] for _, part in inputs if part["name"] not in by_name))
    sizes = _sizes(output) if known else {}
    if catalogue is None and known:
        catalogue = Catalogue(units, output)
    unsure = [
        one
        for one in known
        if verify or catalogue is None or not catalogue.is_unchanged(one[2].name, one[1]["sha256"])
    ]
    with ThreadPoolExecutor(READERS) as pool:
        same = pool.map(lambda one: _same_bytes(one[2], one[1], output, verify, write), unsure)
        found.changed = sorted(
            {one[2].name for one, is_same in zip(unsure, same, strict=True) if not is_same}
        )
        gone = {*found.withdrawn, *found.changed}
        intact = {
            name: manifest
            for name, manifest in manifests.items()
            if not any(part["name"] in gone for part in manifest["inputs"])
        }
        whole = pool.map(lambda manifest: _is_whole(manifest, output, sizes, verify), intact.values())
        for (name, manifest), is_whole in zip(intact.items(), whole, strict=True):
            if is_whole:
                found.committed[name] = manifest
            else:
                found.damaged.append(name)
    found.fallen = [name for name in manifests if name not in found.committed]
    return found


def drop_raw_shard(name: str, output: str) -> None:
    """Remove what an output knows of a raw shard, scores of earlier recipes too."""
    for group in stored_groups(output):
        remove_file(scores_uri(output, group, name))
    remove_file(decisions_uri(output, name))
    remove_file(status_uri(output, name))
    remove_file(join(output, QUARANTINE, f"{name}.parquet"))


def drop(name: str, manifest: Manifest, output: str) -> None:
    """Remove a curated shard: the manifest first, so that at no time it names a file that is gone."""
    remove_file(manifest_uri(output, name))
    for entry in manifest["outputs"]:
        remove_file(join(output, entry["tar"]))
        remove_file(join(output, index_name(entry["tar"])))


# Any: an entry of a manifest's `inputs`.
def _same_bytes(unit: Unit, committed: Mapping[str, Any], output: str, verify: bool, write: bool) -> bool:
    stored: Mapping[str, Any] = read_identity(unit.name, output)
    if stored.get("sha256") != committed["sha256"]:  # no facts, or those of other bytes than were committed
        stored = committed
    now = confirm(unit, stored, verify)
    if now is not None:
        if write and stored is not committed:
            renew_identity(unit, output, now)
        return True
    if unit.uri not in (committed["uri"], stored["uri"]):
        raise InputError(
            f"output {output} holds results of {committed['uri']} ({committed['size']} bytes), this run reads "
            f"{unit.uri} ({unit.size} bytes) under the same name; choose another output folder"
        )
    return False


def _sizes(output: str) -> dict[str, int]:
    """The size in bytes of every file of a folder, by name."""
    fs, folder = filesystem(output)
    if isinstance(fs, LocalFileSystem):  # without a dict for each file
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
    fs.invalidate_cache(folder)
    sizes = {
        posixpath.basename(entry["name"]): int(entry["size"] or 0) for entry in fs.ls(folder, detail=True)
    }
    fs.invalidate_cache(folder)  # a million entries are not kept
    return sizes


def _is_whole(manifest: Manifest, output: str, sizes: Mapping[str, int], verify: bool) -> bool:
    # A manifest of an older version may lack the size.
    return all(
        entry["tar"] in sizes
        and entry.get("size") in (None, sizes[entry["tar"]])
        and index_name(entry["tar"]) in sizes
        and (not verify or read_sha256(join(output, entry["tar"]))[0] == entry["sha256"])
        for entry in manifest["outputs"]
    )
