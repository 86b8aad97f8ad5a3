import pytest
from pydantic import ValidationError

from data_filters.phrases import PhraseOptions
from pipelines.common.config import config_hash
from pipelines.phrases.config import PhrasesConfig, parser


def test_every_option_of_an_extractor_can_be_set():
    assert set(PhraseOptions.__dataclass_fields__) | {"extractor", "model", "workers"} == set(
        PhrasesConfig.model_fields
    )
    assert PhrasesConfig().options() == PhraseOptions()
    assert PhrasesConfig(level="base", max_tokens=5).options() == PhraseOptions(level="base", max_tokens=5)


@pytest.mark.parametrize(
    "wrong", [{"level": "all"}, {"extractor": "chunks"}, {"max_tokens": 0}, {"modell": "x"}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        PhrasesConfig(**wrong)


def test_the_hash_is_of_what_decides_the_outcome():
    assert config_hash(PhrasesConfig()) == config_hash(PhrasesConfig(workers=7, batch_size=3))
    assert config_hash(PhrasesConfig()) != config_hash(PhrasesConfig(model="en_core_web_sm"))
    assert config_hash(PhrasesConfig()) != config_hash(PhrasesConfig(level="base"))


def test_a_process_loads_a_parser_once():
    assert parser(PhrasesConfig()) is parser(PhrasesConfig())
    assert parser(PhrasesConfig(level="base")) is not parser(PhrasesConfig())
