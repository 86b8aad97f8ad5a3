"""Pictures as data URIs, so that a page carries them itself."""

from __future__ import annotations

import base64
from pathlib import Path


def embedded(path: Path) -> str:
    """The JPEG in a file as a data URI; empty where there is no such file."""
    return jpeg_uri(base64.b64encode(path.read_bytes()).decode("ascii")) if path.is_file() else ""


def jpeg_uri(data: str) -> str:
    """The data URI of a JPEG that is given in base64; empty without data."""
    return f"data:image/jpeg;base64,{data}" if data else ""
