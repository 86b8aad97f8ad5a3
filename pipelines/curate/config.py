"""What `loupe curate` may be told. Closed: an unknown key is an error."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from data_filters import FILTERS, get_filter
from pipelines.phrases.config import PhrasesConfig

# Such a field changes how a run goes, not what comes out: it stays outside the config hash.
OPERATIONAL: dict[str, Any] = {"affects_output": False}


class CurateConfig(BaseModel):
    """Limits of the filters, and how the run goes. The defaults are those of the LOUPE paper (appendix A)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    filters: tuple[str, ...] = Field(
        tuple(FILTERS), description="names of the filters, in the order in which they judge"
    )
    min_side: int = Field(
        200, ge=0, description="pixels; a pair is dropped unless width and height are both above this"
    )
    max_aspect: float = Field(
        10.0, ge=1, description="longer over shorter side, no unit; a pair is dropped when above this"
    )
    min_words: int = Field(3, ge=0, description="words of the caption; a pair is dropped when below this")
    max_words: int = Field(100, ge=1, description="words of the caption; a pair is dropped when above this")
    phrases: PhrasesConfig | None = Field(
        None, description="how the phrases of the kept captions are found; null: not at all"
    )
    max_bad_fraction: float = Field(
        0.1,
        ge=0,
        le=1,
        description="fraction of all samples, 0 to 1; the run stops when more than this cannot be read",
        json_schema_extra=OPERATIONAL,
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="shards at work at the same time; null takes one per CPU",
        json_schema_extra=OPERATIONAL,
    )
    examples: int = Field(
        3,
        ge=0,
        le=100,
        description="rejected pairs kept as pictures for the report, per filter and shard",
        json_schema_extra=OPERATIONAL,
    )

    @field_validator("filters")
    @classmethod
    def _known_filters(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            get_filter(name)
        if len(set(names)) != len(names):
            raise ValueError("a filter comes twice; name each once")
        return names

    @model_validator(mode="after")
    def _ordered_limits(self) -> "CurateConfig":
        if self.min_words > self.max_words:
            raise ValueError(
                f"min_words is {self.min_words}, above max_words {self.max_words}; no caption could pass; "
                "lower min_words or raise max_words"
            )
        return self

    def limits(self) -> dict[str, float]:
        """The limit of every active filter, by the limit's name."""
        return {
            get_filter(name).limit_name: getattr(self, get_filter(name).limit_name) for name in self.filters
        }
