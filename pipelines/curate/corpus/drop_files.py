"""Keeps a rule's drops in files, one for each group of shards, so that no process holds those of all shards."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import pyarrow as pa

from pipelines.common.files import filesystem, join, read_parquet, write_parquet
from pipelines.common.paths import local_path
from pipelines.curate.corpus.corpus import DROPS


@dataclass(frozen=True)
class DropFiles:
    """The drops of one rule in a folder. `groups` has one byte a group: 1 where the group has a file."""

    folder: str
    groups: bytes

    def read(self, group: int) -> pa.Table:
        """The drops of a group (DROPS), sorted by rank. Raises FileNotFoundError where its file was removed."""
        if not self.groups[group]:
            return DROPS.empty_table()
        table = read_parquet(uri := _uri(self.folder, group))
        if table is None:
            raise FileNotFoundError(uri)
        return table.cast(DROPS)


def write_drops(folder: str, group: int, drops: pa.Table) -> None:
    """Write the drops of a group; a second attempt at it writes the same file again."""
    write_parquet(_uri(folder, group), drops)


def remove_folder(folder: str) -> None:
    """Remove a folder and all in it; nothing happens where there is none."""
    local = local_path(folder)
    if local is not None:
        shutil.rmtree(local, ignore_errors=True)
        return
    fs, path = filesystem(folder)
    if fs.exists(path):
        fs.rm(path, recursive=True)


def _uri(folder: str, group: int) -> str:
    return join(folder, f"{group:06}.parquet")
