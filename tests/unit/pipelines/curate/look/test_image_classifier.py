"""Probabilities against a plain loop over transformers; labels by name and number; what is refused."""

import pickle

import numpy as np
import pytest
import torch
from pictures import look_pictures, opened
from tiny_models import tiny_classifier
from transformers import AutoImageProcessor, AutoModelForImageClassification

from data_filters.errors import InputError
from pipelines.curate.look.image_classifier import Classifier, classifier_scores


def plain_logits(folder: str, images) -> torch.Tensor:
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    processor = AutoImageProcessor.from_pretrained(folder)
    with torch.no_grad():
        return torch.cat([model(**processor(image, return_tensors="pt")).logits for image in images])


def test_probabilities_are_those_of_a_plain_loop(tmp_path):
    folder = tiny_classifier(tmp_path / "model")
    group = pickle.loads(pickle.dumps(classifier_scores(folder, "unsafe")))
    pictures = look_pictures(11)
    expected = torch.softmax(plain_logits(folder, opened(pictures)), 1)[:, 1].double().numpy()
    found = group.measure(pictures)
    assert found.schema == group.schema()
    assert np.ptp(expected) > 0.05
    np.testing.assert_allclose(found.column(0).to_numpy(), expected, atol=1e-6)


def test_a_score_does_not_depend_on_the_batch(tmp_path):
    group = classifier_scores(tiny_classifier(tmp_path / "model"), 2)
    pictures = look_pictures(21)
    whole = group.measure(pictures).column(0).to_numpy()
    for first, last in ((0, 1), (5, 6), (3, 12), (1, 21)):
        part = group.measure(pictures[first:last]).column(0).to_numpy()
        assert part.tobytes() == whole[first:last].tobytes()


@pytest.mark.parametrize(
    ("labels", "config"),
    [(("x",), {}), (("x", "y"), {"problem_type": "multi_label_classification"})],
)
def test_a_model_of_one_label_or_of_several_at_once_is_read_by_the_sigmoid(tmp_path, labels, config):
    folder = tiny_classifier(tmp_path / "model", labels, **config)
    pictures = look_pictures(3)
    expected = torch.sigmoid(plain_logits(folder, opened(pictures))).numpy()
    np.testing.assert_allclose(Classifier(folder).probabilities(opened(pictures)), expected, atol=1e-6)


def test_rules_of_one_model_and_label_share_the_group(tmp_path):
    folder = tiny_classifier(tmp_path / "model")
    by_name, by_number, by_text = (classifier_scores(folder, label) for label in ("unsafe", 1, "1"))
    assert by_name == by_number == by_text
    other = classifier_scores(folder, "drawing")
    assert {by_name.name, other.name} == {f"safety-{by_name.key}", f"safety-{other.key}"}
    assert len({by_name.name, other.name}) == 2
    copy = classifier_scores(tiny_classifier(tmp_path / "copy"), "unsafe")
    assert (copy.name, copy.settings()) == (by_name.name, by_name.settings())
    assert classifier_scores(tiny_classifier(tmp_path / "other", seed=1), "unsafe").name != by_name.name


@pytest.mark.parametrize("label", ["unsaf", 3, "-1"])
def test_an_unknown_label_is_refused_with_the_known_ones(tmp_path, label):
    folder = tiny_classifier(tmp_path / "model")
    with pytest.raises(InputError, match="labels are .*safe.*; name one") as caught:
        classifier_scores(folder, label)
    assert all(name in str(caught.value) for name in ("safe", "unsafe", "drawing"))
    assert "\n" not in str(caught.value)
