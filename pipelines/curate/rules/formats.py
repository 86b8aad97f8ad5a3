"""The rule `formats`: keeps images of some formats, told by their first bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipelines.curate.rules.columns import booleans, texts
from pipelines.curate.rules.rule import PairRule

Format = Literal["jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"]


class FormatsRule(PairRule):
    """Keeps a pair whose image has an allowed format. CC12M keeps JPEG alone; COYO-700M whatever Pillow decodes."""

    kind: Literal["formats"] = "formats"
    allow: tuple[Format, ...] = Field(
        ("jpeg", "png", "webp"),
        min_length=1,
        description="formats that are kept, whatever the files are named",
    )

    def words(self) -> str:
        return f"keeps: {self.limit()}"

    def limit(self) -> str:
        return ", ".join(self.allow)

    def columns(self) -> Sequence[str]:
        return ("format",)

    def fails(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        return ~booleans(pc.is_in(table["format"], value_set=pa.array(self.allow, pa.string())))

    # Any: as PairRule says.
    def values(self, table: pa.Table) -> list[Any]:
        return texts(table["format"])
