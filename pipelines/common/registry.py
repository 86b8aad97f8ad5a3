"""Looks names up in registries, with one form of error for names that are unknown."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

from data_filters.errors import InputError

Entry = TypeVar("Entry")


def lookup(table: Mapping[str, Entry], name: str, what: str, mend: str) -> Entry:
    """Return the entry `name` of a registry; `what` says what it names, `mend` how to mend an unknown one.

    Raises InputError for an unknown name: "WHAT is 'x'; allowed are a, b; did you mean 'a'?; MEND", where the hint is
    there only when a known name is near.
    """
    if name in table:
        return table[name]
    near = get_close_matches(str(name), table, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"{what} is {name!r}; allowed are {', '.join(table)}{hint}; {mend}")
