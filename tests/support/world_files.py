"""The files of a rendered world, read back."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipelines.shards.reader import iterate


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def samples(folder: Path, split: str) -> dict[str, dict[str, bytes]]:
    """All samples of a split, key -> members."""
    tars = sorted((folder / split).glob("*.tar"))
    return {key: members for tar in tars for key, members in iterate(str(tar))}
