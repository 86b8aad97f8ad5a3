"""The rule `deny_list`: drops pairs that a list names by their image's hash, URL or domain."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from data_filters.deny_lists import as_rows
from data_filters.fields import parents
from pipelines.common.causes import RunFailed
from pipelines.curate.rules.columns import booleans, of_distinct
from pipelines.curate.rules.list_files import WIDTHS, DenyList, Of, Source, read_lists, url_digest
from pipelines.curate.rules.rule import PairRule
from pipelines.curate.scores.digests import DigestScores
from pipelines.curate.scores.fields import FieldScores
from pipelines.curate.scores.group import Group

_LISTS: dict[tuple[str, tuple[str, ...]], DenyList] = {}
"""The lists of this process, by kind and files: read once, or again by `check`."""


class DenyListRule(PairRule):
    """Drops a pair that a list names. Neither its picture nor its caption may be shown.

    xxh3 (xxh3_128, the column `image_hash`), sha256 and md5 are those of the image's bytes. A URL is compared as it
    stands in the field, without white space at its ends; a domain matches the hosts below it.
    """

    hides_content: ClassVar[bool] = True
    """Whether pairs that fail may be shown in no report and no example."""

    kind: Literal["deny_list"] = "deny_list"
    of: Of = Field(
        description="what the list holds: xxh3, sha256 or md5 of the image's bytes, url, or domain"
    )
    files: tuple[str, ...] = Field(
        min_length=1,
        description="URIs of the lists: text with an entry a line, or .parquet with a column hash, url or domain",
    )
    field: str = Field(
        "url", min_length=1, description="field of KEY.json with the URL, for lists of url and domain"
    )
    missing: Literal["keep", "drop"] = Field(
        "drop", description="what happens to a pair without that field, for lists of url and domain"
    )

    def check(self) -> None:
        """Read the lists anew. Raises InputError when one cannot be read, is empty, or holds what is no entry."""
        self.__dict__.pop("recorded", None)
        _LISTS.pop((self.of, self.files), None)
        self.deny_list()

    @cached_property
    def recorded(self) -> tuple[Source, ...]:
        """The files as this rule has first read them; pickled with it, so that workers notice a changed one."""
        return _load(self.of, self.files).sources

    def deny_list(self) -> DenyList:
        """The list, read once in a process.

        Raises InputError as `check` does, and RunFailed when a file has changed since the rule was checked.
        """
        found = _load(self.of, self.files)
        for then, now in zip(self.recorded, found.sources, strict=True):
            if then != now:
                raise RunFailed(
                    f"deny list {now.path} has changed during the run (sha256 {then.sha256[:12]}, now "
                    f"{now.sha256[:12]}); start the run again"
                )
        return found

    def sources(self) -> Sequence[dict[str, str | int]]:
        """Path, sha256 and number of entries of every file, for the data set's record."""
        return [source.as_json() for source in self.deny_list().sources]

    def groups(self) -> Sequence[Group]:
        if self.of == "sha256" or self.of == "md5":
            return (DigestScores(self.of),)
        return () if self.of == "xxh3" else (self._field(),)

    def words(self) -> str:
        if self.of not in ("url", "domain"):
            return f"keeps: {self.limit()}"
        return (
            f"keeps: {self.limit()}{', or it is missing' if self.missing == 'keep' else ', and not missing'}"
        )

    def limit(self) -> str:
        what = (
            f"{self.of} of the image"
            if self.of in ("xxh3", "sha256", "md5")
            else f"{self.of} in {self.field}"
        )
        return f"{what} on no list of {', '.join(self.files)}"

    def columns(self) -> Sequence[str]:
        if self.of in ("url", "domain"):
            return self._field().columns()
        return ("image_hash" if self.of == "xxh3" else f"image_{self.of}",)

    def fails(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        entries = self.deny_list().entries
        if self.of in ("xxh3", "sha256", "md5"):
            column = table[self.columns()[0]]
            known = ~booleans(pc.is_null(column))
            fails = ~known
            fails[known] = entries.contains(as_rows(column.drop_null().to_pylist(), WIDTHS[self.of]))
            return fails
        text, _, fault = (table[name] for name in self.columns())
        faulty = ~booleans(pc.equal(fault, ""))
        missing = ~faulty & booleans(pc.is_null(text))

        def listed(names: Sequence[str]) -> bool:
            return bool(entries.contains(as_rows([url_digest(name) for name in names], 16)).any())

        if self.of == "domain":
            found = of_distinct(text, lambda host: listed(parents(host)))
        else:
            digests = [url_digest((url or "").strip()) for url in text.to_pylist()]
            found = entries.contains(as_rows(digests, 16))
        return faulty | np.where(missing, self.missing == "drop", found)

    # Any: as PairRule says.
    def values(self, table: pa.Table) -> list[Any]:
        """The hash in hex digits, or the host; of a URL its xxh3_128, since the URL itself may not be shown either."""
        if self.of in ("xxh3", "sha256", "md5"):
            return [None if value is None else value.hex() for value in table[self.columns()[0]].to_pylist()]
        text, _, fault = (table[name].to_pylist() for name in self.columns())
        show = (lambda url: url_digest(url.strip()).hex()) if self.of == "url" else str
        return [
            why or ("missing" if value is None else show(value))
            for value, why in zip(text, fault, strict=True)
        ]

    def _field(self) -> FieldScores:
        return FieldScores(self.field, host=self.of == "domain")


def _load(of: Of, files: tuple[str, ...]) -> DenyList:
    if (of, files) not in _LISTS:
        _LISTS[of, files] = read_lists(of, files)
    return _LISTS[of, files]
