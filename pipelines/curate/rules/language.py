"""The rule `language`: keeps captions of some languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from data_filters.errors import InputError
from data_filters.language import load_identifier
from pipelines.curate.rules.columns import booleans, numbers
from pipelines.curate.rules.rule import PairRule
from pipelines.curate.scores.group import Group
from pipelines.curate.scores.language import LanguageScores

Code = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class LanguageRule(PairRule):
    """Keeps a pair whose caption is in an allowed language, with some probability.

    On 19,000 English and 400 foreign captions of the icon world, and 2,290 English and 58 Polish ones of OpenStax,
    fastText let no foreign caption pass at any limit. English recall there, by limit: 0: 0.990 and 0.997; 0.2: 0.988
    and 0.997; 0.3: 0.984 and 0.997; 0.5: 0.916 and 0.990. Hence the default. DataComp's baseline has no limit (0).
    """

    kind: Literal["language"] = "language"
    method: Literal["fasttext", "py3langid"] = Field(
        "fasttext",
        description="fastText's lid.176.ftz, or py3langid (the extra langid); their probabilities differ",
    )
    allow: tuple[Code, ...] = Field(
        ("en",), min_length=1, description="codes of the languages that are kept, ISO 639-1, else 639-3"
    )
    min_probability: float = Field(
        0.2, ge=0, le=1, description="probability of the language, 0 to 1; a pair is dropped when below this"
    )
    model: str | None = Field(
        None,
        description="local file of another model of the method, readable on every machine; null: the one shipped",
    )

    def check(self) -> None:
        """Raises InputError when the model cannot be loaded, or knows none of the allowed languages by its code."""
        known = load_identifier(self.method, self.model).languages()
        unknown = [code for code in self.allow if known and code not in known]
        if unknown:
            raise InputError(
                f"allow names {', '.join(unknown)}, which {self.method} does not know; its codes are "
                f"{', '.join(sorted(known))}; mend the language rule"
            )

    def groups(self) -> Sequence[Group]:
        return (LanguageScores(self.method, self.model),)

    def words(self) -> str:
        return f"keeps: language {' or '.join(self.allow)}, probability at least {self.min_probability:g}"

    def limit(self) -> str:
        return f"{' or '.join(self.allow)}, at least {self.min_probability:g}"

    def columns(self) -> Sequence[str]:
        return ("language", "language_probability")

    def fails(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        allowed = booleans(pc.is_in(table["language"], value_set=pa.array(self.allow, pa.string())))
        return ~(allowed & (numbers(table["language_probability"]) >= self.min_probability))

    # Any: as PairRule says.
    def values(self, table: pa.Table) -> list[Any]:
        codes = table["language"].to_pylist()
        shares = numbers(table["language_probability"])
        return ["none" if code is None else f"{code} {p:.3f}" for code, p in zip(codes, shares, strict=True)]
