"""Commit records: which output was made from which input with which configuration.

`OUTPUT/manifests/NAME.json` is written last and is the commit; a unit without one does not exist.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from fsspec import AbstractFileSystem
from pydantic import BaseModel

from data_filters.errors import InputError
from pipelines.common.config import differences, hash_of, output_settings
from pipelines.common.files import Uri, filesystem, join, write_json
from pipelines.shards.storage import index_name
from pipelines.shards.writer import ShardInfo

VERSION = 1
MANIFESTS = "manifests"


# A manifest as `json.loads` gives it: config_hash, config, outputs, funnel, and more of the command that wrote it.
Manifest = dict[str, Any]


@dataclass(frozen=True)
class CommittedShard:
    """A shard that a manifest names: `uri` is that of the tar, `size` its bytes (None where the manifest has none)."""

    uri: str
    samples: int
    sha256: str
    size: int | None = None


@dataclass(frozen=True)
class ManifestFile:
    """A file of `manifests/` that this project wrote, by its content; `manifest` is None where it is damaged."""

    path: str
    manifest: Manifest | None

    @property
    def unit(self) -> str:
        """The name of the unit."""
        return posixpath.basename(self.path).removesuffix(".json")


Slim = Callable[[Manifest], Manifest]
"""A manifest → what its reader keeps of it, for as long as it goes over all of them: an output may have a million."""


def manifest_files(uri: Uri, slim: Slim | None = None) -> tuple[AbstractFileSystem, list[ManifestFile]]:
    """The file system of an output folder, and its manifests by name; `[]` when there are none.

    Files that somebody else keeps under `manifests/` are passed over.
    """
    fs, files, _ = _all_files(uri, slim)
    return fs, files


def _all_files(
    uri: Uri, slim: Slim | None = None
) -> tuple[AbstractFileSystem, list[ManifestFile], list[str]]:
    """What `manifest_files` gives, and the paths of files that somebody else wrote under a manifest's name."""
    fs, folder = filesystem(join(uri, MANIFESTS))
    ours: list[ManifestFile] = []
    foreign: list[str] = []
    for path, is_ours, manifest in _each_file(fs, folder):
        if not is_ours:
            foreign.append(path)
            continue
        if slim is not None and manifest is not None and set(manifest) >= _NEEDED:
            manifest = slim(manifest)
        ours.append(ManifestFile(path, manifest))
    return fs, ours, foreign


def _each_file(fs: AbstractFileSystem, folder: str) -> Iterator[tuple[str, bool, Manifest | None]]:
    """The files under a manifest's name: path, whether it is ours, and the manifest where it is whole."""
    if not fs.isdir(folder):
        return
    paths = [
        file
        for file in sorted(fs.ls(folder, detail=False))
        if fnmatchcase(posixpath.basename(file), "[!.]*.json")
    ]
    for first in range(0, len(paths), _AT_ONCE):
        some = paths[first : first + _AT_ONCE]
        # Not fs.cat, which would take a name with brackets for a pattern. Remote files are read concurrently.
        for path, content in zip(some, fs.cat_ranges(some, None, None, on_error="raise"), strict=True):
            yield path, *_classify(content)


_AT_ONCE = 1024  # manifests whose text is in memory at the same time


def _classify(content: bytes) -> tuple[bool, Manifest | None]:
    """Whether a file is a manifest of ours, damaged or not, and what it holds where it is whole."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        # Ours begins with its `config`; a file without any content is what a crash of the machine leaves.
        text = content.strip(b"\0 \n\r\t")
        return not text or any(mark in text for mark in _MARKS), None
    if not isinstance(value, dict) or not ("config_hash" in value or _names_tars(value.get("outputs"))):
        return False, None
    return True, value if _is_whole(value) else None


_MARKS = (b'"config_hash"', b'"outputs"', b'{\n "config"')


def _names_tars(outputs: object) -> bool:
    return isinstance(outputs, list) and all(isinstance(entry, dict) and "tar" in entry for entry in outputs)


def _is_whole(value: Manifest) -> bool:
    """Whether a manifest has what readers need, in the right types."""
    outputs = value.get("outputs")
    return isinstance(outputs, list) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("tar"), str)
        and isinstance(entry.get("samples"), int)
        and isinstance(entry.get("sha256"), str)
        for entry in outputs
    )


def _damaged(path: str) -> InputError:
    return InputError(
        f"manifest {path} is damaged; run the command that made it again with the same input and output: it writes "
        "this shard and its manifest anew"
    )


def committed_shards(uri: Uri, files: Sequence[ManifestFile] | None = None) -> list[CommittedShard]:
    """List the shards that the manifests in `uri/manifests/` name, by URI; `[]` when there are none.

    `files`: what `manifest_files(uri)` gave, where they were read already.

    Raises InputError when a manifest is damaged.
    """
    shards = []
    for file in manifest_files(uri)[1] if files is None else files:
        if file.manifest is None:
            raise _damaged(file.path)
        shards += [
            CommittedShard(join(uri, output["tar"]), output["samples"], output["sha256"], output.get("size"))
            for output in file.manifest["outputs"]
        ]
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


def read_manifests(output: str, *, skip_damaged: bool = False) -> dict[str, Manifest]:
    """Read the manifest of every committed unit of an output folder, by name.

    A damaged one counts as none with `skip_damaged` (its unit is then written anew), else InputError is raised.
    """
    return _by_unit(manifest_files(output)[1], skip_damaged)


def each_manifest(output: str) -> Iterator[tuple[str, Manifest]]:
    """The name and the manifest of every committed unit, in the order of the names; damaged ones are passed over.

    Some are held at a time.
    """
    fs, folder = filesystem(join(output, MANIFESTS))
    for path, is_ours, manifest in _each_file(fs, folder):
        if is_ours and manifest is not None and set(manifest) >= _NEEDED:
            yield posixpath.basename(path).removesuffix(".json"), manifest


def read_own_and_foreign(output: str, slim: Slim | None = None) -> tuple[dict[str, Manifest], set[str]]:
    """What `read_manifests` gives without the damaged ones, and the names of units whose place a foreign file takes."""
    _, ours, foreign = _all_files(output, slim)
    return _by_unit(ours, True), {posixpath.basename(path).removesuffix(".json") for path in foreign}


def _by_unit(files: Sequence[ManifestFile], skip_damaged: bool) -> dict[str, Manifest]:
    manifests: dict[str, Manifest] = {}
    for file in files:
        if file.manifest is not None and set(file.manifest) >= _NEEDED:
            manifests[file.unit] = file.manifest
        elif not skip_damaged:
            raise _damaged(file.path)
    return manifests


_NEEDED = {"version", "config_hash", "outputs", "funnel"}


def check_same_config(output: str, manifests: dict[str, Manifest], config: BaseModel) -> None:
    """Raise InputError, naming both hashes, when an output folder holds the results of another configuration."""
    check_same_settings(output, manifests, output_settings(config))


# Any: what JSON holds.
def check_same_settings(
    output: str,
    manifests: Mapping[str, Manifest],
    settings: Mapping[str, Any],
    remedy: str = "or delete the folder",
) -> None:
    """`check_same_config` for settings as JSON holds them. `remedy`: the last of the ways to mend that are named."""
    mine = hash_of(settings)
    for manifest in manifests.values():
        theirs = manifest["config_hash"]
        if theirs != mine:
            changed = ", ".join(
                f"{key} {their_value} there, {my_value} here"
                for key, their_value, my_value in differences(manifest.get("config", {}), settings)
            )
            raise InputError(
                f"output {output} holds results of config {theirs}, this run has config {mine}"
                f"{f' ({changed})' if changed else ''}; choose another output folder, "
                f"or take the recipe that made it, {remedy}"
            )
