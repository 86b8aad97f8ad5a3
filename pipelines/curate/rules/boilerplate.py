"""The rule `boilerplate`: drops captions that a web site writes by itself."""

from __future__ import annotations

import hashlib
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
from pipelines.curate.rules.list_files import Source
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
        return PHRASES if self.file is None else _read(self.file)[0]

    def sources(self) -> Sequence[dict[str, str | int]]:
        """Path, sha256 and number of phrases of your own list, for the data set's record."""
        if self.file is None:
            return []
        phrases, sha256 = _read(self.file)
        return [Source(self.file, sha256, len(phrases)).as_json()]

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


def _read(uri: str) -> tuple[tuple[str, ...], str]:
    """The phrases of a file and its sha256. Raises InputError when it cannot be read or holds none."""
    fs, path = filesystem(uri)
    try:
        data: bytes = fs.cat_file(path)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"file is {uri}, which cannot be read ({error}); give a list of phrases") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"file is {uri}, which is no UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    return parse_phrases(text, uri), hashlib.sha256(data).hexdigest()
