"""Witnesses of many files by one detailed listing of each of their folders, instead of one request for each file.

A witness of a listing is compared with one of a listing alone: a store may give another precision of time there. It is
kept as a hash of MARK_BYTES bytes, since there may be a million.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from pipelines.common.files import filesystem
from pipelines.shards.patterns import can_list
from pipelines.shards.witness import CLOCK_TICK_NS, Witness, witness_of

LISTINGS = 16  # folders that are listed at the same time
MARK_BYTES = 16


def listed_marks(uris: Iterable[str]) -> dict[str, bytes]:
    """The hashed witness of each file that its folder's listing names with a mark, by URI.

    Files are left out that changed within the last 20 ms, since a later change could leave their time as it is; so are
    those of a storage that cannot list.
    """
    folders: dict[tuple[int, str], tuple[AbstractFileSystem, dict[str, str]]] = {}
    for uri in uris:
        fs, path = filesystem(uri)
        if can_list(fs):
            folder, name = posixpath.split(path)
            folders.setdefault((id(type(fs)), folder), (fs, {}))[1][name] = uri
    found: dict[str, bytes] = {}
    with ThreadPoolExecutor(LISTINGS) as pool:
        for marks in pool.map(lambda one: _of_folder(one[0][1], *one[1]), folders.items()):
            found.update(marks)
    return found


def _hashed(witness: Witness) -> bytes:
    return hashlib.blake2b(f"{witness.size};{witness.mark}".encode(), digest_size=MARK_BYTES).digest()


def _of_folder(folder: str, fs: AbstractFileSystem, wanted: dict[str, str]) -> dict[str, bytes]:
    """`wanted`: the URI of each file by its name in the folder."""
    if isinstance(fs, LocalFileSystem):
        return _of_local_folder(folder, wanted)
    fs.invalidate_cache(folder)
    found: dict[str, bytes] = {}
    try:
        entries = fs.ls(folder, detail=True)
    except FileNotFoundError:
        return found  # removed meanwhile: whoever reads its files says so
    for entry in entries:
        uri = wanted.get(posixpath.basename(entry["name"]))
        if uri is not None and entry.get("type") == "file" and entry.get("size") is not None:
            witness = witness_of(entry)
            if witness.mark:
                found[uri] = _hashed(witness)
    fs.invalidate_cache(folder)  # a million entries are not kept
    return found


def _of_local_folder(folder: str, wanted: dict[str, str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    latest = time.time_ns() - CLOCK_TICK_NS
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                uri = wanted.get(entry.name)
                if uri is None or not entry.is_file():
                    continue
                stat = entry.stat()
                if stat.st_mtime_ns < latest:
                    found[uri] = _hashed(Witness(stat.st_size, f"{stat.st_mtime_ns}:{stat.st_ino}"))
    except FileNotFoundError:
        return found
    return found
