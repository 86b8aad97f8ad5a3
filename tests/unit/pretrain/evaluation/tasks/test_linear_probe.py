import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from transformers import AutoImageProcessor, AutoModel

from data_filters.errors import InputError
from pretrain.evaluation.tasks.linear_probe import COARSE, evaluate_linear_probe, fit, split_of, sweep


def clouds(count, seed, spread=1.5):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(4, 6, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(0, 4, (count,), generator=generator)
    return centres[labels] + spread * torch.randn(count, 6, generator=generator), labels


@pytest.mark.parametrize("strength", [0.001, 0.1, 10.0])
def test_fit_is_that_of_scikit_learn(strength):
    features, labels = clouds(200, 0)
    probe = fit(features, labels, 4, strength)
    judge = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000).fit(
        features.double().numpy(), labels.numpy()
    )
    np.testing.assert_allclose(
        probe(features).softmax(1), judge.predict_proba(features.double().numpy()), atol=2e-4
    )
    np.testing.assert_allclose(probe.weights.T, judge.coef_, atol=2e-3 * max(1, np.abs(judge.coef_).max()))


def test_sweep_finds_a_strength_as_good_as_a_dense_search():
    train, validation = clouds(40, 1, 2.5), clouds(300, 2, 2.5)

    def accuracy(strength):
        judge = LogisticRegression(C=strength, max_iter=10_000).fit(
            train[0].double().numpy(), train[1].numpy()
        )
        return judge.score(validation[0].double().numpy(), validation[1].numpy())

    strength, found = sweep(train, validation, 4, max_iterations=300)
    assert found == pytest.approx(accuracy(strength), abs=0.005)
    dense = max(accuracy(10**power) for power in np.arange(-4, 4.5, 0.5))
    assert found >= dense - 0.01
    assert found > accuracy(1e6) + 0.005  # there is something to choose
    assert 10 ** COARSE[0] <= strength <= 10 ** COARSE[-1]


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
    metrics = evaluate_linear_probe(export, str(folders), str(tmp_path / "o"), max_iterations=50)
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
    named = evaluate_linear_probe(
        export, str(folders / "test"), train=str(folders / "train"), max_iterations=50
    )
    assert named["top1"] == metrics["top1"]


def test_one_folder_is_split_by_its_keys(export, folders):
    metrics = evaluate_linear_probe(export, str(folders / "train"), features="embedding", max_iterations=50)
    keys = [f"{file.parent.name}/{file.name}" for file in (folders / "train").glob("*/*.png")]
    counts = {name: sum(split_of(key) == name for key in keys) for name in ("train", "validation", "test")}
    assert metrics["images"] == counts
    shares = [split_of(f"{number:08d}") for number in range(10_000)]
    assert shares.count("test") / 10_000 == pytest.approx(0.2, abs=0.02)
    assert shares.count("validation") / 10_000 == pytest.approx(0.2, abs=0.02)


def test_user_errors(export, folders, tmp_path):
    with pytest.raises(InputError, match="features is 'all'; allowed are pooled, embedding"):
        evaluate_linear_probe(export, str(folders), features="all")
    other = tmp_path / "other"
    other.mkdir()
    (folders / "test" / "dark").rename(other / "elsewhere")
    with pytest.raises(InputError, match="names must agree"):
        evaluate_linear_probe(export, str(other), train=str(folders / "train"))
    with pytest.raises(InputError, match="leaves no (train|validation|test) image"):
        evaluate_linear_probe(export, str(folders), gallery=1)
