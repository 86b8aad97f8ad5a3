"""A banner among the examples of an alignment: a small picture, and in no case a lost result."""

import json

import pytest
from PIL import Image
from random_export import random_export
from raw_shards import picture, write_tar

from pretrain.evaluation.runner import run_evaluation
from pretrain.evaluation.tasks import alignment

FEW = {"proposals": "saliency", "evaluations": 8, "budget": 12}


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """An export with 16×16 cells: a banner's picture has fewer rows of pixels than that."""
    return random_export(tmp_path_factory.mktemp("run"), image_size=64, patch_size=4)


@pytest.fixture
def data(tmp_path):
    members = {}
    for number, size in enumerate([(40, 40), (1200, 40), (12, 1200)]):
        members[f"{number}.png"] = picture(*size, seed=number, format="PNG")
        members[f"{number}.txt"] = "a long red banner"
    write_tar(tmp_path / "raw" / "0.tar", members)
    return tmp_path / "raw"


def test_pictures_of_any_shape_are_drawn(export, data, tmp_path):
    metrics = run_evaluation("alignment", export, data, tmp_path / "out", options=FEW)
    assert (metrics["images"], metrics["skipped"]) == (3, {})
    entries = json.loads((tmp_path / "out" / "examples.json").read_text())["alignment"]
    sizes = [Image.open(tmp_path / "out" / entry["picture"]).size for entry in entries]
    assert sizes == [(320, 320), (320, 11), (3, 320)]
    for entry in entries:
        kinds = [drawn["kind"] for drawn in entry["maps"]]
        assert {"attribution", "best-word", "word-patch"} == set(kinds)
        for drawn in entry["maps"]:
            assert min(Image.open(tmp_path / "out" / drawn["picture"]).size) >= 2


def test_a_picture_that_fails_does_not_lose_the_numbers(export, data, tmp_path, monkeypatch, caplog):
    def fail(*_, **__):
        raise ValueError("x1 must be greater than or equal to x0")

    monkeypatch.setattr(alignment, "show_alignment", fail)
    metrics = run_evaluation("alignment", export, data, tmp_path / "out", options=FEW)
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == metrics
    assert "examples were not written (ValueError: x1 must be greater" in caplog.text
