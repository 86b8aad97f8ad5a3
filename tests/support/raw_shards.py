"""Raw shards as users have them: a tar of pairs, and pictures of a few kilobytes that every decoder reads."""

from __future__ import annotations

import io
import random
import tarfile
from pathlib import Path

from PIL import Image

CAPTION = "a brown dog runs across the green field"


def picture(
    width: int = 320, height: int = 260, seed: int = 0, format: str = "JPEG", **save: object
) -> bytes:
    """Encode a smooth random picture; `save` are options of Pillow's encoder."""
    small = Image.frombytes("RGB", (16, 16), random.Random(seed).randbytes(768))
    encoded = io.BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(encoded, format, **save)
    return encoded.getvalue()


def add_member(tar: tarfile.TarFile, name: str, data: bytes | str) -> None:
    """Append a file to an open tar; text is written as UTF-8."""
    content = data.encode() if isinstance(data, str) else data
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def write_tar(path: Path, members: dict[str, bytes | str], format: int = tarfile.USTAR_FORMAT) -> Path:
    """Write a tar of members by name, in their order; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format) as tar:
        for name, data in members.items():
            add_member(tar, name, data)
    return path


def pairs(count: int, prefix: str = "ok") -> dict[str, bytes | str]:
    """Members of `count` pairs that every recipe keeps: KEY.jpg and KEY.txt."""
    members: dict[str, bytes | str] = {}
    for number in range(count):
        members[f"{prefix}{number:05d}.jpg"] = picture(seed=number)
        members[f"{prefix}{number:05d}.txt"] = f"{CAPTION} number {number}"
    return members
