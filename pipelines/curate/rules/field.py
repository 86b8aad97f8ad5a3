"""The rule `field`: compares any field of KEY.json with lists and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator, model_validator

from data_filters.fields import normal_host, parents
from pipelines.curate.rules.columns import booleans, numbers, of_distinct
from pipelines.curate.rules.rule import PairRule
from pipelines.curate.scores.fields import FieldScores
from pipelines.curate.scores.group import Group


class FieldRule(PairRule):
    """Keeps a pair by the value of a field of KEY.json.

    How values are compared: `data_filters.fields.value_of` and `host_of`. A value that cannot be compared (a list, NaN,
    a URL without a host) fails, and so does one that is no number where `at_least` or `at_most` is given.
    """

    kind: Literal["field"] = "field"
    field: str = Field(
        min_length=1, description="name of the field; with points for a field of an object (`a.b`)"
    )
    allow: tuple[str, ...] | None = Field(None, description="values that are kept, as they stand; null: all")
    deny: tuple[str, ...] = Field((), description="values that are dropped, as they stand")
    at_least: float | None = Field(
        None, allow_inf_nan=False, description="a pair is dropped when below this number"
    )
    at_most: float | None = Field(
        None, allow_inf_nan=False, description="a pair is dropped when above this number"
    )
    domain: bool = Field(
        False, description="compare the host of the URL in the field: `a.example.com` matches `example.com`"
    )
    missing: Literal["keep", "drop"] = Field(
        "drop", description="what happens to a pair without the field, or with null in it"
    )

    @model_validator(mode="after")
    def _something_to_compare(self) -> Self:
        if self.allow is None and not self.deny and self.at_least is None and self.at_most is None:
            raise ValueError("there is nothing to compare with; give allow, deny, at_least or at_most")
        if self.allow == ():
            raise ValueError("allow is empty; no pair could pass; name a value or leave it out")
        if self.domain and (self.at_least is not None or self.at_most is not None):
            raise ValueError("a domain is no number; leave at_least and at_most out, or domain")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(
                f"at_least is {self.at_least:g}, above at_most {self.at_most:g}; no pair could pass; lower at_least"
            )
        if self.domain:
            for entry in (*(self.allow or ()), *self.deny):
                domain_of_entry(entry)
        return self

    @field_validator("allow", "deny", mode="before")
    @classmethod
    def _numbers_as_json_writes_them(cls, values: object) -> object:
        """Entries of a recipe that are numbers or booleans, as `value_of` brings fields to text."""
        if not isinstance(values, list | tuple):
            return values
        return [
            ("true" if value else "false") if isinstance(value, bool)
            else repr(value) if isinstance(value, int | float) else value
            for value in values
        ]  # fmt: skip

    def groups(self) -> Sequence[Group]:
        return (FieldScores(self.field, self.domain),)

    def words(self) -> str:
        missing = ", or it is missing" if self.missing == "keep" else ""
        return f"keeps: {'domain of ' if self.domain else ''}{self.field} {self.limit()}{missing}"

    def limit(self) -> str:
        parts = [
            f"one of {_shown(self.allow)}" if self.allow is not None else "",
            f"none of {_shown(self.deny)}" if self.deny else "",
            f"at least {self.at_least:g}" if self.at_least is not None else "",
            f"at most {self.at_most:g}" if self.at_most is not None else "",
        ]
        return ", ".join(part for part in parts if part)

    def columns(self) -> Sequence[str]:
        return FieldScores(self.field, self.domain).columns()

    def fails(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        text, number, fault = (table[name] for name in self.columns())
        faulty = ~booleans(pc.equal(fault, ""))
        missing = ~faulty & booleans(pc.is_null(text))
        passes = np.ones(len(table), dtype=np.bool_)
        if self.allow is not None:
            passes &= self._matches(text, self.allow)
        if self.deny:
            passes &= ~self._matches(text, self.deny)
        if self.at_least is not None:
            passes &= numbers(number) >= self.at_least
        if self.at_most is not None:
            passes &= numbers(number) <= self.at_most
        return faulty | np.where(missing, self.missing == "drop", ~passes)

    def _matches(self, text: pa.ChunkedArray, entries: tuple[str, ...]) -> npt.NDArray[np.bool_]:
        if not self.domain:
            return booleans(pc.is_in(text, value_set=pa.array(entries, pa.string())))
        domains = frozenset(domain_of_entry(entry) for entry in entries)
        return of_distinct(text, lambda host: not domains.isdisjoint(parents(host)))

    # Any: as PairRule says.
    def values(self, table: pa.Table) -> list[Any]:
        """What was compared: the value, the host, the fault, or `missing`."""
        text, _, fault = (table[name].to_pylist() for name in self.columns())
        return [
            why or ("missing" if value is None else value) for value, why in zip(text, fault, strict=True)
        ]


def domain_of_entry(entry: str) -> str:
    """A domain of a recipe or list as it is compared. Raises ValueError when it is none."""
    host = entry.strip().lower()
    try:
        host = normal_host(host)
    except UnicodeError as error:
        raise ValueError(f"{entry!r} is no domain ({error}); write it as example.com") from error
    if not host or any(sign in host for sign in "/:@*?# \t") or ".." in host or host.startswith("."):
        raise ValueError(f"{entry!r} is no domain; write it as example.com, without scheme, port or path")
    return host


def _shown(entries: tuple[str, ...]) -> str:
    more = f" and {len(entries) - 5} more" if len(entries) > 5 else ""
    return ", ".join(entries[:5]) + more
