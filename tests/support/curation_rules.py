"""Rules and a group of scores that are small enough to check by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_filters.facts import Facts
from pipelines.curate.corpus.corpus import DROPS, Corpus, Rows
from pipelines.curate.rules import CorpusRule, PairRule
from pipelines.curate.scores.group import Group

MEASURED: list[list[Facts]] = []
"""The pairs of every call of `Letters.measure`; a test clears it first."""


@dataclass(frozen=True)
class Letters:
    """Counts how often a letter stands in the caption."""

    letter: str = "e"
    version: int = 1
    name: str = "letters"

    def schema(self) -> pa.Schema:
        return pa.schema([("letters", pa.int32())])

    def settings(self) -> Mapping[str, object]:
        return {"letter": self.letter}

    def measure(self, pairs: Sequence[Facts]) -> pa.RecordBatch:
        MEASURED.append(list(pairs))
        counts = [pair.caption.count(self.letter) for pair in pairs]
        return pa.record_batch([pa.array(counts, pa.int32())], schema=self.schema())


class FewLetters(PairRule):
    """Keeps captions with a letter at least so often."""

    kind: Literal["few_letters"] = "few_letters"
    letter: str = "e"
    least: int = 1

    def groups(self) -> Sequence[Group]:
        return (Letters(self.letter),)

    def words(self) -> str:
        return f"keeps: {self.letter} at least {self.least} times"

    def limit(self) -> str:
        return str(self.least)

    def columns(self) -> Sequence[str]:
        return ("letters",)

    def fails(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        fails: npt.NDArray[np.bool_] = table.column("letters").to_numpy() < self.least
        return fails

    def values(self, table: pa.Table) -> list[Any]:
        return table.column("letters").to_pylist()


class SameCaption(CorpusRule):
    """Keeps the first pair of each caption."""

    kind: Literal["same_caption"] = "same_caption"

    def words(self) -> str:
        return "keeps: the first of each caption"

    def limit(self) -> str:
        return "1 pair"

    def sources(self) -> Sequence[Mapping[str, object]]:
        return ({"path": "list.txt", "sha256": "ab", "entries": 2},)

    def decide(self, corpus: Corpus) -> None:
        corpus.shuffle(["caption_key"], by_caption, all_but_first)


def by_caption(rows: Rows) -> pa.Table:
    keys = [int.from_bytes(key[:8], "little") for key in rows.table.column("caption_key").to_pylist()]
    return pa.table({"key": pa.array(keys, pa.uint64()), "rank": pa.array(rows.ranks(), pa.int64())})


def all_but_first(table: pa.Table) -> pa.Table:
    ranks: dict[int, list[int]] = {}
    for key, rank in zip(table.column("key").to_pylist(), table.column("rank").to_pylist(), strict=True):
        ranks.setdefault(key, []).append(rank)
    drops = [(rank, min(of), float(len(of))) for of in ranks.values() for rank in of if rank != min(of)]
    columns = list(zip(*drops, strict=True)) or [(), (), ()]
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, DROPS, strict=True)], schema=DROPS
    )
