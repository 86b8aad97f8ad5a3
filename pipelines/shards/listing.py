"""Finds the tars that a folder, a single path or a pattern names: the one rule for every reader.

- a folder: the shards that the files of `manifests/` name; without such a file every `*.tar` directly in it;
- one `.tar` file;
- a pattern with `*`, `?`, `[` or `{a..b}` (where nothing has that very name, see `pipelines.shards.patterns`): every
  `.tar` file that matches, and the shards of every folder that braces name.

Hidden files are passed over. The order is that of the file names, then of the whole paths.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from fsspec import AbstractFileSystem

from data_filters.errors import InputError
from pipelines.common.files import Uri, filesystem
from pipelines.shards.manifest import Manifest, committed_shards, manifest_files
from pipelines.shards.patterns import can_list, is_pattern, is_wild, matches


class Kind(Enum):
    """What a URI turned out to be."""

    COMMITTED = "a folder with manifests"
    FOLDER = "a folder without manifests"
    TAR = "one .tar"
    PATTERN = "a pattern"
    OTHER_FILE = "a file that is no .tar"
    MISSING = "nothing"


@dataclass(frozen=True, slots=True)
class FoundShard:
    """A tar: `uri` is absolute (with its protocol where the input's URI has one), `name` is without `.tar`.

    `size` is in bytes; None where the folder's listing does not say it.
    """

    uri: str
    name: str
    size: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Listing:
    """The shards that a URI names, in order, and what the URI is; an empty list is for the caller to explain."""

    kind: Kind
    shards: tuple[FoundShard, ...] = ()

    @property
    def uris(self) -> list[str]:
        """The URI of each shard."""
        return [shard.uri for shard in self.shards]


def find_shards(uri: Uri) -> Listing:
    """List the shards that `uri` names.

    Raises InputError when a manifest cannot be read, a name in braces does not exist, or `uri` is a list with `::`.
    """
    fs, path = filesystem(uri)
    with_protocol = "://" in str(uri)
    if fs.isdir(path):
        _, manifests = manifest_files(uri, _outputs_alone)
        if manifests:
            paths = [filesystem(shard.uri)[1] for shard in committed_shards(uri, manifests)]
            return Listing(Kind.COMMITTED, _shards(fs, paths, with_protocol))
        return Listing(Kind.FOLDER, _shards(fs, fs.ls(path, detail=False), with_protocol))
    if fs.exists(path):
        is_tar = path.endswith(".tar")
        return Listing(Kind.TAR, _shards(fs, [path], with_protocol)) if is_tar else Listing(Kind.OTHER_FILE)
    listing = _matching(fs, path, with_protocol) if is_pattern(path) else Listing(Kind.MISSING)
    if not listing.shards and "::" in path:
        raise InputError(
            f"{uri} does not exist; lists with :: are not read; give a folder, or a pattern such as {{00..99}}.tar"
        )
    return listing


def _outputs_alone(manifest: Manifest) -> Manifest:
    return {"outputs": manifest["outputs"]}


def _matching(fs: AbstractFileSystem, path: str, with_protocol: bool) -> Listing:
    """The shards that a pattern names."""
    paths = matches(fs, path)
    if not is_wild(posixpath.basename(path)):  # folders that braces name one by one; `*` is for files
        entries = _entries(fs, paths)
        is_file = [entries.get(path, {}).get("type") == "file" for path in paths]
        paths = [
            tar
            for path, known in zip(paths, is_file, strict=True)
            for tar in ([path] if known else _tars_of(fs, path))
        ]
    return Listing(Kind.PATTERN, _shards(fs, paths, with_protocol))


def _tars_of(fs: AbstractFileSystem, path: str) -> list[str]:
    """The path itself, or the shards of a folder."""
    if not fs.isdir(path):
        return [path]
    return [filesystem(uri)[1] for uri in find_shards(fs.unstrip_protocol(path)).uris]


def _shards(fs: AbstractFileSystem, paths: list[str], with_protocol: bool) -> tuple[FoundShard, ...]:
    tars = [path for path in paths if path.endswith(".tar") and not posixpath.basename(path).startswith(".")]
    entries = _entries(fs, tars)
    return tuple(
        FoundShard(
            fs.unstrip_protocol(path) if with_protocol else path,
            posixpath.basename(path).removesuffix(".tar"),
            entries.get(path, {}).get("size"),
        )
        for path in sorted(tars, key=lambda path: (posixpath.basename(path), path))
    )


# Any: what fsspec says of a file, with at least `name`, `size` and `type`.
def _entries(fs: AbstractFileSystem, paths: list[str]) -> dict[str, dict[str, Any]]:
    """What is known of paths, by one listing of each folder that holds several of them."""
    if not can_list(fs):
        return {}
    folders = Counter(posixpath.dirname(path) for path in paths)
    several = [folder for folder, count in folders.items() if count > 1]
    return {entry["name"]: entry for folder in several for entry in fs.ls(folder, detail=True)}
