"""The sha256 of a local file, computed once while the file stays the same."""

from __future__ import annotations

import functools
import hashlib
import os

from data_filters.errors import InputError


def sha256_of(path: str) -> str:
    """The sha256 of a local file in hex digits. Raises InputError when it cannot be read."""
    try:
        seen = os.stat(path)
        return _sha256(path, seen.st_size, seen.st_mtime_ns, seen.st_ino)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give a file that can") from error


@functools.lru_cache(maxsize=64)
def _sha256(path: str, size: int, changed: int, inode: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
