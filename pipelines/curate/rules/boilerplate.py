"""The rule `boilerplate`: drops captions that a web site writes by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from data_filters.boilerplate import PHRASES, parse_phrases
from data_filters.errors import InputError
from pipelines.common.files import filesystem
from pipelines.curate.rules.columns import booleans, texts
from pipelines.curate.rules.rule import PairRule
from pipelines.curate.scores.boilerplate import BoilerplateScores
from pipelines.curate.scores.group import Group


class BoilerplateRule(PairRule):
    """Drops a pair whose caption holds a phrase of a list, see `data_filters.boilerplate.matcher`."""

    kind: Literal["boilerplate"] = "boilerplate"
    file: str | None = Field(
        None,
        description="URI of your own list: a phrase a line, `= phrase` for a whole caption; null: the shipped one",
    )

    def check(self) -> None:
        self.phrases()

    def phrases(self) -> tuple[str, ...]:
        """The entries. Raises InputError when the file cannot be read or holds none."""
        if self.file is None:
            return PHRASES
        fs, path = filesystem(self.file)
        try:
            text = fs.cat_file(path).decode("utf-8-sig")
        except OSError as error:
            raise InputError(
                f"file is {self.file}, which cannot be read ({error}); give a list of phrases"
            ) from error
        except UnicodeDecodeError as error:
            raise InputError(
                f"file is {self.file}, which is no UTF-8 (byte {error.start}); save it as UTF-8"
            ) from error
        return parse_phrases(text, self.file)

    def groups(self) -> Sequence[Group]:
        return (BoilerplateScores(self.phrases()),)

    def words(self) -> str:
        return f"keeps: no phrase of {self.file or 'the shipped list of boilerplate'}"

    def limit(self) -> str:
        return "no phrase of the list"

    def columns(self) -> Sequence[str]:
        return ("boilerplate",)

    def fails(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        return ~booleans(pc.equal(table["boilerplate"], ""))

    # Any: as PairRule says.
    def values(self, table: pa.Table) -> list[Any]:
        return texts(table["boilerplate"])
