"""The group `entries`: which entries of a list each caption has."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from data_filters.balance import EntryMatcher, parse_entries
from data_filters.errors import InputError
from data_filters.facts import Facts
from pipelines.common.files import filesystem

COLUMN = "entries"


@dataclass(frozen=True)
class Entries:
    """A list of int32 per caption: the places of its entries in the file, in order. Empty where it has none.

    `uri` is the file, `sha256` the hex digest that it had when the run was planned.
    """

    uri: str
    sha256: str
    ignore_case: bool

    name = "entries"
    version = 1

    def schema(self) -> pa.Schema:
        return pa.schema([(COLUMN, pa.list_(pa.int32()))])

    def settings(self) -> Mapping[str, object]:
        return {"sha256": self.sha256, "ignore_case": self.ignore_case}

    def measure(self, pairs: Sequence[Facts]) -> pa.RecordBatch:
        match = _matcher(self)
        found = [match(pair.caption) for pair in pairs]
        return pa.RecordBatch.from_arrays([pa.array(found, type=pa.list_(pa.int32()))], schema=self.schema())


def read_entries(uri: str) -> tuple[list[str], str]:
    """The entries of a file and its sha256. Raises InputError when it cannot be read or holds none."""
    fs, path = filesystem(uri)
    try:
        data: bytes = fs.cat_file(path)
    except OSError as error:
        raise InputError(
            f"entries {uri} cannot be read: {error}; give a file with one entry per line"
        ) from error
    return parse_entries(data, uri), hashlib.sha256(data).hexdigest()


@cache
def _matcher(group: Entries) -> EntryMatcher:
    """Made once in a worker, since half a million entries take seconds."""
    entries, sha256 = read_entries(group.uri)
    if sha256 != group.sha256:
        raise InputError(
            f"entries {group.uri} has changed since the run was planned (sha256 {sha256}, was {group.sha256}); "
            "start the run again"
        )
    return EntryMatcher(entries, group.ignore_case)
