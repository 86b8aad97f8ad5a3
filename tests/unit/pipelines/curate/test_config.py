"""The curation settings are closed and say their unit."""

import pytest
from pydantic import ValidationError

from pipelines.common.config import config_hash
from pipelines.curate.config import CurateConfig


def test_mistakes_are_refused():
    for wrong in [{"min_sid": 3}, {"min_side": -1}, {"max_bad_fraction": 1.5}, {"filters": ["small_imag"]}]:
        with pytest.raises(ValidationError):
            CurateConfig(**wrong)
    with pytest.raises(ValidationError, match="min_words is 9, above max_words 8"):
        CurateConfig(min_words=9, max_words=8)
    with pytest.raises(ValidationError, match="a filter comes twice"):
        CurateConfig(filters=["few_words", "few_words"])


def test_limits_are_those_of_the_active_filters():
    assert CurateConfig().limits() == {"min_side": 200, "max_aspect": 10, "min_words": 3, "max_words": 100}
    assert CurateConfig(filters=["few_words"], min_words=5).limits() == {"min_words": 5}


def test_every_field_has_a_description():
    assert all(field.description for field in CurateConfig.model_fields.values())


def test_how_a_run_goes_is_not_in_the_hash():
    assert config_hash(CurateConfig(workers=1, examples=0)) == config_hash(CurateConfig(workers=9))
    assert config_hash(CurateConfig(min_side=64)) != config_hash(CurateConfig())
