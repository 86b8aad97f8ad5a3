"""`loupe world` renders what `render_world` renders."""

import json
from pathlib import Path

import pytest
from raw_shards import picture

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


def test_photographs_and_distractors_reach_the_renderer(loupe, tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.jpg").write_bytes(picture(40, 30, seed=number))
    (folder / "broken.png").write_bytes(b"text")
    sizes = ("--pairs", "6", "--test-pairs", "2", "--unseen-pairs", "0", "--image-size", "64", "--names", "8")
    options = ("--backgrounds", str(folder), "--distractors", "3")
    code, out, _ = loupe("world", "--output", str(tmp_path / "a"), *sizes, *options, "--seed", "3", "--json")
    assert code == 0
    summary = json.loads(out)
    assert sum(summary["photographs"].values()) == 20
    assert [text.split(":")[0] for text in summary["unreadable"]] == ["broken.png"]
    render_world(
        str(tmp_path / "b"), 6, 3, image_size=64, test_pairs=2, unseen_pairs=0, names=8, backgrounds=str(folder),
        distractors=3,
    )  # fmt: skip
    assert contents(tmp_path / "a") == contents(tmp_path / "b") != {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--distractors", "7", "--names", "12"], "distractors is 7; allowed are 0 to 6; set distractors"),
        (["--distractors", "-1", "--names", "12"], "distractors is -1; allowed are 0 to 6; set distractors"),
        (
            ["--distractors", "1"],
            "distractors is 1; they are glyphs that the world does not name, and with names",
        ),
        (["--backgrounds", "nowhere"], "backgrounds nowhere does not exist; give a folder with photographs"),
    ],
)
def test_bad_options_are_one_line_and_exit_code_2(loupe, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    code, out, error = loupe("world", "--output", "w", "--pairs", "6", *options)
    assert (code, out) == (2, "")
    (line,) = [line for line in error.splitlines() if not line.startswith("rendering")]
    assert said in line
    assert not (tmp_path / "w").exists()
