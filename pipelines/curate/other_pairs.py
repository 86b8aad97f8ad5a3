"""The pair on whose account a rule over the corpus drops another, as the report shows it beside that one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.common.files import filesystem
from pipelines.curate.pair_picture import caption_and_picture
from pipelines.curate.plan import Plan, Step
from pipelines.curate.rules import CorpusRule
from pipelines.curate.scores.facts import FACTS, members_at
from pipelines.curate.scores.storage import DAMAGED, facts_identity, scores_uri
from pipelines.curate.stored_scores import ScoredShard, StoredScores
from pipelines.shards.batches import parts_of
from pipelines.shards.unit import Unit


class OtherPair(TypedDict):
    """A pair by shard and key; caption and picture (JPEG in base64) are empty where they may not or cannot be shown."""

    shard: str
    key: str
    width: int
    height: int
    caption: str
    picture: str


class OtherPairs:
    """Looks up pairs by shard and row. An earlier output's shard is named OUTPUT/NAME, as `status/` does.

    A pair that a rule with `hides_content` rejects has neither caption nor picture, and neither has one whose scores
    cannot be read to tell.
    """

    def __init__(self, plan: Plan, output: str) -> None:
        self.plan, self.output = plan, output
        self.hiding = [step for step in plan.steps if hides(step)]

    def at(self, shard: str, row: int) -> OtherPair | None:
        """The pair of a shard's row; None where nothing is known of it any more."""
        output, _, name = shard.rpartition("/")
        output = output or self.output
        try:
            facts = read_row(scores_uri(output, FACTS, name), row, ["key", "members", "width", "height"])
            about, rows = facts_identity(name, output)
            is_hidden = bool(about) and self._is_hidden(output, ScoredShard(name, about["sha256"], rows), row)
        except DAMAGED:
            return None
        if facts is None or not about:
            return None
        (pair,) = facts.drop_columns(["members"]).to_pylist()
        (members,) = members_at(facts, np.zeros(1, np.int64))
        unit = Unit(name, about["uri"], about["size"])
        caption, picture = ("", "") if is_hidden else caption_and_picture(unit, parts_of(members), about)
        return {
            "shard": unit.shard,
            "key": pair["key"],
            "width": pair["width"],
            "height": pair["height"],
            "caption": caption,
            "picture": picture,
        }

    def _is_hidden(self, output: str, shard: ScoredShard, row: int) -> bool:
        """Whether a hiding rule rejects the pair, or this cannot be told."""
        stored = StoredScores(output, (shard,), self.plan)
        for step in self.hiding:
            if isinstance(step.rule, CorpusRule):
                return True  # which pairs it drops is not known here
            table = stored.load(0, step.rule.columns()).slice(row, 1)
            if bool(step.rule.fails(table)[0]):  # so does a pair without the scores
                return True
        return False


def hides(step: Step) -> bool:
    """Whether what the rule rejects may not be shown."""
    return bool(getattr(step.rule, "hides_content", False))


def read_row(uri: str, row: int, columns: Sequence[str]) -> pa.Table | None:
    """One row of a Parquet file, of which no more than its row group is read; None where there is no such row."""
    fs, path = filesystem(uri)
    if not fs.exists(path):
        return None
    with fs.open(path, "rb") as opened:
        file = pq.ParquetFile(opened, page_checksum_verification=True)
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if row < count:
                return file.read_row_group(group, columns=list(columns)).slice(row, 1)
            row -= count
    return None
