import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from transformers import AutoImageProcessor, AutoModel

from data_filters.errors import InputError
from pretrain.evaluation.runner import run_evaluation
from pretrain.evaluation.tasks.linear_probe import split_of


def evaluate(export, data, output=None, *, progress=None, **options):
    """The metrics of the task with these options."""
    return run_evaluation("linear-probe", export, data, output, options=options, progress=progress)


@pytest.fixture
def folders(tmp_path):
    """Images of two classes whose brightness says which, in train/ and test/, and all of them in one folder."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 8)):
        for name, light in (("dark", 40), ("light", 180)):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = generator.integers(0, 60, (16, 16, 3)) + light
                Image.fromarray(noise.astype(np.uint8)).save(folder / f"{number:02d}.png")
    return tmp_path / "data"


def test_probe_reads_what_the_features_hold(export, folders, tmp_path):
    metrics = evaluate(export, str(folders), str(tmp_path / "o"), max_iterations=50)
    assert metrics["images"]["test"] == 16
    assert metrics["images"]["train"] + metrics["images"]["validation"] == 40
    model, processor = AutoModel.from_pretrained(export).eval(), AutoImageProcessor.from_pretrained(export)

    def read(split):
        files = sorted((folders / split).glob("*/*.png"))
        with torch.no_grad():
            rows = [
                model.vision_model(**processor(Image.open(f), return_tensors="pt")).pooler_output[0]
                for f in files
            ]
        return torch.stack(rows).double().numpy(), [f.parent.name for f in files]

    judge = LogisticRegression(C=metrics["inverse_regularisation"], max_iter=1000).fit(*read("train"))
    assert metrics["top1"] == pytest.approx(judge.score(*read("test")), abs=0.07)
    assert metrics["top1"] > 0.9
    assert json.loads((tmp_path / "o" / "metrics.json").read_text()) == metrics
    named = evaluate(export, str(folders / "test"), train=str(folders / "train"), max_iterations=50)
    assert named["top1"] == metrics["top1"]


def test_one_folder_is_split_by_its_keys(export, folders):
    metrics = evaluate(export, str(folders / "train"), features="embedding", max_iterations=50)
    keys = [f"{file.parent.name}/{file.name}" for file in (folders / "train").glob("*/*.png")]
    counts = {name: sum(split_of(key) == name for key in keys) for name in ("train", "validation", "test")}
    assert metrics["images"] == counts
    shares = [split_of(f"{number:08d}") for number in range(10_000)]
    assert shares.count("test") / 10_000 == pytest.approx(0.2, abs=0.02)
    assert shares.count("validation") / 10_000 == pytest.approx(0.2, abs=0.02)


def test_user_errors(export, folders, tmp_path):
    with pytest.raises(InputError, match="features is 'all'; allowed are pooled, embedding"):
        evaluate(export, str(folders), features="all")
    other = tmp_path / "other"
    other.mkdir()
    (folders / "test" / "dark").rename(other / "elsewhere")
    with pytest.raises(InputError, match="names must agree"):
        evaluate(export, str(other), train=str(folders / "train"))
    with pytest.raises(InputError, match="leaves no (train|validation|test) image"):
        evaluate(export, str(folders), gallery=1)
