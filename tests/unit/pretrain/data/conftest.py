"""A small committed data set of plain-coloured images, written with the project's own shard writer."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from pipelines.shards.writer import write_shard


@pytest.fixture
def committed(tmp_path):
    """Function: (shards of (key, members), name) → URI of a folder with a manifest."""

    def write(shards: list[list[tuple[str, dict[str, bytes]]]], name: str = "curated") -> str:
        folder: Path = tmp_path / name
        outputs = []
        for number, samples in enumerate(shards):
            info = write_shard(str(folder / f"{number:05d}.tar"), samples)
            outputs.append({"tar": f"{number:05d}.tar", "samples": info.samples, "sha256": info.sha256})
        (folder / "manifests").mkdir()
        (folder / "manifests" / "all.json").write_text(json.dumps({"outputs": outputs}))
        return str(folder)

    return write


@pytest.fixture
def pair():
    """Function: number → (key, members) of a readable pair, its image of one colour."""

    def make(number: int) -> tuple[str, dict[str, bytes]]:
        file = io.BytesIO()
        Image.new("RGB", (24, 16), (number * 7 % 256, 128, 255 - number)).save(file, "PNG")
        return f"{number:04d}", {"png": file.getvalue(), "txt": f"picture number {number}".encode()}

    return make
