"""A group for each JSON field that a rule compares: its text, its number, and why it cannot be compared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import xxhash

from data_filters.facts import Facts
from data_filters.fields import MOST_TEXT, host_of, look_up, value_of

_PLAIN = re.compile(r"[a-z0-9_.-]{1,60}")


@dataclass
class FieldScores:
    """Columns of the field at a dotted path: `NAME.text` (null: missing, or a fault), `NAME.number` (float64, NaN: no
    number) and `NAME.fault` (empty: none). NAME is `field-PATH`, or `host-PATH` where `host` is set: the host of the
    URL in the field. A path that would make a poor file name stands there as its hash.

    A group for each field, so that a rule of another field leaves it valid.
    """

    path: str
    host: bool = False
    version: int = 1
    name: str = field(init=False)

    def __post_init__(self) -> None:
        plain = _PLAIN.fullmatch(self.path) is not None
        path = self.path if plain else xxhash.xxh3_64_hexdigest(self.path.encode("utf-8", "surrogatepass"))
        self.name = f"{'host' if self.host else 'field'}-{path}"

    def columns(self) -> tuple[str, str, str]:
        """The names of the columns of text, number and fault."""
        return f"{self.name}.text", f"{self.name}.number", f"{self.name}.fault"

    def schema(self) -> pa.Schema:
        text, number, fault = self.columns()
        return pa.schema([(text, pa.string()), (number, pa.float64()), (fault, pa.string())])

    def settings(self) -> Mapping[str, object]:
        return {"field": self.path, "host": self.host, "most_text": MOST_TEXT}

    def measure(self, pairs: Sequence[Facts]) -> pa.RecordBatch:
        read = host_of if self.host else value_of
        values = [read(look_up(pair.metadata, self.path)) for pair in pairs]
        return pa.record_batch(
            [
                pa.array([value.text for value in values], pa.string()),
                pa.array([value.number for value in values], pa.float64(), from_pandas=False),
                pa.array([value.fault for value in values], pa.string()),
            ],
            self.schema(),
        )
