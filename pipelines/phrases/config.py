"""The settings of finding phrases in captions. Closed: an unknown key is an error."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from pydantic import Field

from data_filters.phrases import EXTRACTORS, PhraseExtractor, load_extractor
from data_filters.phrases.options import LEVELS, PhraseOptions
from pipelines.common.config import NO_EFFECT_ON_OUTPUT, Section, one_of

_PLAIN = PhraseOptions()


class PhrasesConfig(Section):
    """Parser and options. Every field except `extractor`, `model` and `workers` is one of PhraseOptions."""

    extractor: Annotated[str, one_of(EXTRACTORS)] = Field("noun_chunks", description="how phrases are found")
    model: str = Field(
        "default",
        description="spaCy pipeline by name or path (en_core_web_sm, ...); default is the shipped one",
    )
    level: Annotated[str, one_of(LEVELS)] = Field(_PLAIN.level, description="which noun phrases")
    keep_determiners: bool = Field(
        _PLAIN.keep_determiners, description='true keeps "a", "the", ... in front of phrases'
    )
    max_phrases: int | None = Field(
        _PLAIN.max_phrases, ge=1, description="at most this many phrases per caption; null for all"
    )
    max_tokens: int = Field(
        _PLAIN.max_tokens, ge=1, description="tokens (words and punctuation marks) of a phrase at most"
    )
    max_characters: int = Field(
        _PLAIN.max_characters, ge=1, description="characters of a caption that are read at most"
    )
    stop_list: str | None = Field(
        None, description="path of a list of phrases without content, one per line; null for the shipped one"
    )
    batch_size: int = Field(
        _PLAIN.batch_size, ge=1, description="captions parsed together", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="parsers at work at the same time, each with its own model; null takes one per CPU",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )

    def options(self) -> PhraseOptions:
        """The options of the extractor."""
        return PhraseOptions(**self.model_dump(exclude={"extractor", "model", "workers"}))

    def load(self) -> PhraseExtractor:
        """Load the extractor. Raises InputError when its model is not installed."""
        return load_extractor(self.extractor, self.model, self.options())


@lru_cache(maxsize=1)
def parser(config: PhrasesConfig) -> PhraseExtractor:
    """`config.load()`, once per process: a Ray worker takes many shards, and loading takes longer than parsing one."""
    return config.load()
