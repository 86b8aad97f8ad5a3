"""The comparison of stored languages, and what is refused before a run."""

import json
import math
import re
import tarfile

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from data_filters import Facts
from data_filters.errors import InputError
from data_filters.image import ImageHeader
from pipelines.curate.rules.language import LanguageRule
from pipelines.curate.scores.language import LanguageScores
from pipelines.icon_world.foreign import foreign_caption


def table(*rows: tuple[str | None, float | None]) -> pa.Table:
    codes, shares = zip(*rows, strict=True)
    return pa.table(
        {"language": pa.array(codes, pa.string()), "language_probability": pa.array(shares, pa.float64())}
    )


def test_an_allowed_language_with_enough_probability_passes():
    stored = table(
        ("en", 0.5), ("en", 0.49), ("de", 0.9), ("fr", 0.5), (None, math.nan), ("en", None), ("en", math.nan)
    )
    rule = LanguageRule(allow=("en", "fr"), min_probability=0.5)
    assert rule.fails(stored).tolist() == [False, True, True, False, True, True, True]
    assert LanguageRule(min_probability=0).fails(stored).tolist() == [
        False,
        False,
        True,
        True,
        True,
        True,
        True,
    ]
    assert rule.values(stored)[:2] + rule.values(stored)[4:5] == ["en 0.500", "en 0.490", "none"]
    assert set(rule.columns()) == set(LanguageScores().schema().names)
    assert rule.words() == "keeps: language en or fr, probability at least 0.5"


def test_its_group_does_not_depend_on_the_limit():
    strict, lenient = LanguageRule(min_probability=0.9), LanguageRule(allow=("de",))
    assert strict.groups() == lenient.groups() == (LanguageScores(),)
    assert LanguageRule(method="py3langid").groups()[0].settings() != strict.groups()[0].settings()


def test_it_is_checked_before_a_run(tmp_path):
    LanguageRule(allow=("en", "zh", "arz")).check()
    LanguageRule(method="py3langid").check()
    with pytest.raises(
        InputError, match="allow names xx, which fasttext does not know; its codes are af, als"
    ):
        LanguageRule(allow=("en", "xx")).check()
    with pytest.raises(InputError, match="where there is no file"):
        LanguageRule(model=str(tmp_path / "none")).check()
    for bad in (
        {"allow": ()},
        {"allow": ("English",)},
        {"min_probability": 1.1},
        {"method": "cld3"},
        {"limit": 1},
    ):
        with pytest.raises(ValidationError):
            LanguageRule(**bad)


def failing(captions: list[str]) -> float:
    """The share of captions that the rule drops by default."""
    facts = [Facts(ImageHeader(3, 4, "png"), caption) for caption in captions]
    return float(LanguageRule().fails(pa.Table.from_batches([LanguageScores().measure(facts)])).mean())


def test_icon_world_captions():
    """Captions that a person would call English, and those that the icon world plants as foreign."""
    rng = np.random.default_rng(0)
    foreign = [foreign_caption(rng)[0] for _ in range(100)]
    names = ("red car", "green tree", "small blue umbrella", "large yellow fan", "purple truck")
    english = [f"a photo of a {one} to the left of a {two}" for one in names for two in names]
    assert failing(english) <= 0.04
    assert failing(foreign) >= 0.96


def test_the_polish_book_of_openstax_is_found(shared_data):
    """Its captions with a letter of Polish alone, against those of the English books."""
    polish, english = [], []
    for path in sorted((shared_data / "openstax" / "raw").glob("*.tar")):
        with tarfile.open(path) as tar:
            texts = {
                name: tar.extractfile(name).read()
                for name in tar.getnames()
                if name.endswith((".txt", ".json"))
            }
        for name, metadata in texts.items():
            if not name.endswith(".json"):
                continue
            caption = texts[name.removesuffix("json") + "txt"].decode()
            if "osbooks-psychologia" not in json.loads(metadata)["source"]:
                english.append(caption)
            elif re.search("[ąćęłńśźż]", caption):
                polish.append(caption)
    assert failing(polish) == 1
    assert failing(english) < 0.005
    assert (len(polish) > 40, len(english) > 2000) == (True, True)
