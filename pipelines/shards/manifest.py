"""Commit records: which output was made from which input with which configuration.

`OUTPUT/manifests/NAME.json` is written last and is the commit; a unit without one does not exist.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from fsspec import AbstractFileSystem
from pydantic import BaseModel

from data_filters.errors import InputError
from pipelines.common.config import config_hash, differences, output_settings
from pipelines.common.files import Uri, filesystem, join, write_json
from pipelines.shards.storage import index_name
from pipelines.shards.writer import ShardInfo

VERSION = 1
MANIFESTS = "manifests"


# A manifest as `json.loads` gives it: config_hash, config, input, outputs, funnel, quarantine.
Manifest = dict[str, Any]


@dataclass(frozen=True)
class CommittedShard:
    """A shard that a manifest names: `uri` is that of the tar, `size` its bytes (None where the manifest has none)."""

    uri: str
    samples: int
    sha256: str
    size: int | None = None


def manifest_files(uri: Uri) -> tuple[AbstractFileSystem, list[str]]:
    """The file system of an output folder, and the paths of its manifests by name; `[]` when there are none."""
    fs, folder = filesystem(join(uri, MANIFESTS))
    if not fs.isdir(folder):
        return fs, []
    files = sorted(fs.ls(folder, detail=False))
    return fs, [file for file in files if fnmatchcase(posixpath.basename(file), "[!.]*.json")]


def committed_shards(uri: Uri) -> list[CommittedShard]:
    """List the shards that the manifests in `uri/manifests/` name, by URI; `[]` when there are none.

    Raises InputError when a manifest cannot be read.
    """
    fs, files = manifest_files(uri)
    shards = []
    for name in files:
        try:
            outputs = json.loads(fs.cat_file(name))["outputs"]
            shards += [
                CommittedShard(
                    join(uri, output["tar"]),
                    int(output["samples"]),
                    str(output["sha256"]),
                    None if output.get("size") is None else int(output["size"]),
                )
                for output in outputs
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"manifest {name} cannot be read ({type(error).__name__}: {error}); expected the JSON that "
                "`loupe curate` writes; delete it and curate again"
            ) from error
    return sorted(shards, key=lambda shard: shard.uri)


def manifest_uri(output: str, name: str) -> str:
    """The URI of the manifest of unit `name`."""
    return join(output, MANIFESTS, f"{name}.json")


def output_entry(written: ShardInfo) -> dict[str, object]:
    """What a manifest's `outputs` says of one written shard."""
    tar = posixpath.basename(written.uri)
    return {
        "tar": tar,
        "index": index_name(tar),
        "samples": written.samples,
        "size": written.size,
        "sha256": written.sha256,
    }


def write_manifest(output: str, name: str, manifest: Mapping[str, object]) -> None:
    """Commit a unit. Everything that the manifest names must be written before."""
    write_json(manifest_uri(output, name), {"version": VERSION, **manifest}, sort_keys=True)


def read_manifests(output: str) -> dict[str, Manifest]:
    """Read the manifest of every committed unit of an output folder, by name.

    Raises InputError when one cannot be read.
    """
    fs, files = manifest_files(output)
    manifests: dict[str, Manifest] = {}
    for file in files:
        try:
            manifest = json.loads(fs.cat_file(file))
            if not {"version", "config_hash", "input", "outputs", "funnel"} <= set(manifest):
                raise ValueError("fields are missing")
        except (ValueError, TypeError) as error:
            raise InputError(
                f"manifest {file} cannot be read ({error}); delete it, and its shard is curated again"
            ) from error
        manifests[posixpath.basename(file).removesuffix(".json")] = manifest
    return manifests


def check_same_config(output: str, manifests: dict[str, Manifest], config: BaseModel) -> None:
    """Raise InputError, naming both hashes, when an output folder holds the results of another configuration."""
    mine = config_hash(config)
    for manifest in manifests.values():
        theirs = manifest["config_hash"]
        if theirs != mine:
            changed = ", ".join(
                f"{key} {their_value} there, {my_value} here"
                for key, their_value, my_value in differences(
                    manifest.get("config", {}), output_settings(config)
                )
            )
            raise InputError(
                f"output {output} holds results of config {theirs}, this run has config {mine}"
                f"{f' ({changed})' if changed else ''}; choose another output folder, "
                "or take the recipe that made it, or delete the folder"
            )
