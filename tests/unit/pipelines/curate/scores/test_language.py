"""The group's columns, and that its settings follow the model's bytes."""

import hashlib
import math
import pickle
import shutil

import pytest

from data_filters import Facts
from data_filters.errors import InputError
from data_filters.image import ImageHeader
from data_filters.language import model_path
from pipelines.curate.scores.language import LanguageScores


def test_columns():
    group = pickle.loads(pickle.dumps(LanguageScores()))
    captions = ["a woman walks her dog through the park", "eine Frau geht mit ihrem Hund durch den Park", " "]
    found = group.measure([Facts(ImageHeader(3, 4, "png"), caption) for caption in captions])
    assert found.schema == group.schema()
    assert found.column("language").to_pylist() == ["en", "de", None]
    assert found.column("language_probability").null_count == 0
    assert math.isnan(found.column("language_probability")[2].as_py())


def test_settings_hold_the_sha256_of_the_model_and_not_its_path(tmp_path):
    shipped = model_path("fasttext")
    with open(shipped, "rb") as file:
        expected = {"method": "fasttext", "model_sha256": hashlib.sha256(file.read()).hexdigest()}
    copy = shutil.copy(shipped, tmp_path / "copy.ftz")
    assert LanguageScores().settings() == LanguageScores(model=str(copy)).settings() == expected
    with open(copy, "ab") as file:
        file.write(b"changed")
    assert LanguageScores(model=str(copy)).settings() != expected
    assert LanguageScores("py3langid").settings()["model_sha256"] != expected["model_sha256"]
    with pytest.raises(InputError, match="where there is no file"):
        LanguageScores(model=str(tmp_path / "none")).settings()


def test_a_model_that_was_replaced_is_not_taken_from_the_process(tmp_path):
    path = tmp_path / "model.ftz"
    shutil.copy(model_path("fasttext"), path)
    group, pair = LanguageScores(model=str(path)), Facts(ImageHeader(1, 1, "png"), "a red car in the street")
    assert group.measure([pair])["language"].to_pylist() == ["en"]
    path.write_bytes(b"another model, which cannot be read")
    with pytest.raises(InputError, match="cannot read"):
        group.measure([pair])
