"""What of an output stands when a run starts again: commits whose shard still holds its bytes and whose tar is whole.

A shard's bytes are its sha256 (`pipelines.shards.witness`); the witness is kept with the scan's sidecar.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from data_filters.errors import InputError
from pipelines.common.files import filesystem, join, remove_file
from pipelines.curate.examples import EXAMPLES
from pipelines.curate.sidecar import QUARANTINE, confirm, read_identity, renew_identity, sidecar_uri
from pipelines.shards.manifest import Manifest, manifest_uri
from pipelines.shards.storage import index_name
from pipelines.shards.unit import Unit
from pipelines.shards.witness import read_sha256

READERS = 8  # files that are looked at or read at the same time


@dataclass
class Standing:
    """What an output holds of this input, by unit name.

    `committed`: stands. `changed`: the shard has other bytes now. `damaged`: its tar or index is missing or was
    altered. `withdrawn`: the input has no such shard any more.
    """

    committed: dict[str, Manifest] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)


def take_stock(
    units: list[Unit],
    manifests: dict[str, Manifest],
    output: str,
    *,
    verify: bool = False,
    write: bool = True,
) -> Standing:
    """Look at every committed shard and its output; with `verify` their bytes are read, whatever the witness says.

    Raises InputError when a shard has another URI and other bytes than the commit of its name.
    """
    found = Standing(withdrawn=sorted(set(manifests) - {unit.name for unit in units}))
    known = [unit for unit in units if unit.name in manifests]
    sizes = _sizes(output) if known else {}
    with ThreadPoolExecutor(READERS) as pool:
        same = pool.map(lambda unit: _same_bytes(unit, manifests[unit.name], output, verify, write), known)
        whole = pool.map(lambda unit: _is_whole(manifests[unit.name], output, sizes, verify), known)
        for unit, unchanged, intact in zip(known, same, whole, strict=True):
            if not unchanged:
                found.changed.append(unit.name)
            elif not intact:
                found.damaged.append(unit.name)
            else:
                found.committed[unit.name] = manifests[unit.name]
    return found


def drop(name: str, manifest: Manifest, output: str) -> None:
    """Remove a unit from an output: the manifest first, so that at no time it names a file that is gone."""
    remove_file(manifest_uri(output, name))
    for entry in manifest["outputs"]:
        remove_file(join(output, entry["tar"]))
        remove_file(join(output, index_name(entry["tar"])))
    remove_file(sidecar_uri(name, output))
    remove_file(join(output, QUARANTINE, f"{name}.parquet"))
    remove_file(join(output, EXAMPLES, f"{name}.json"))


def _same_bytes(unit: Unit, manifest: Manifest, output: str, verify: bool, write: bool) -> bool:
    committed: Mapping[str, Any] = manifest["input"]
    stored: Mapping[str, Any] = read_identity(unit.name, output)
    if stored.get("sha256") != committed["sha256"]:  # no scan, or one of other bytes than were committed
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
    fs.invalidate_cache(folder)
    return {
        posixpath.basename(entry["name"]): int(entry["size"] or 0) for entry in fs.ls(folder, detail=True)
    }


def _is_whole(manifest: Manifest, output: str, sizes: Mapping[str, int], verify: bool) -> bool:
    # A manifest of an older version may lack the size.
    return all(
        entry["tar"] in sizes
        and entry.get("size") in (None, sizes[entry["tar"]])
        and index_name(entry["tar"]) in sizes
        and (not verify or read_sha256(join(output, entry["tar"]))[0] == entry["sha256"])
        for entry in manifest["outputs"]
    )
