"""`loupe world` renders what `render_world` renders."""

import json
from pathlib import Path

from pipelines.icon_world import render_world


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.tar")}


def test_options_reach_the_renderer(loupe, tmp_path):
    sizes = ("--pairs", "6", "--test-pairs", "2", "--unseen-pairs", "2", "--image-size", "64", "--names", "8")
    code, out, _ = loupe("world", "--output", str(tmp_path / "a"), *sizes, "--seed", "3", "--json")
    assert code == 0
    assert isinstance(json.loads(out), dict)
    render_world(str(tmp_path / "b"), 6, 3, image_size=64, test_pairs=2, unseen_pairs=2, names=8)
    assert contents(tmp_path / "a") == contents(tmp_path / "b") != {}
