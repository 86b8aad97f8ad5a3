"""Brings the scores of a raw shard up to date: reads what is stored, computes what is missing, stores that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from pipelines.curate.scan import rescan, scan
from pipelines.curate.scores.facts import FACTS
from pipelines.curate.scores.group import Group
from pipelines.curate.scores.storage import (
    Scores,
    load_facts,
    load_group,
    save_facts,
    save_scores,
    with_table,
)
from pipelines.shards.unit import Unit


def stored_scores(
    unit: Unit,
    groups: Sequence[Group],
    output: str,
    *,
    verify: bool = False,
    damaged: list[str] | None = None,
    renew: bool = False,
) -> tuple[Scores | None, list[Group]]:
    """Read what an output knows of a raw shard: its scores, and the groups among `groups` that are not there.

    None, and all groups, where not even the facts are known of these bytes. Files that cannot be read are added to
    `damaged`. `renew`: as `load_facts` says.
    """
    scores = load_facts(unit, output, verify=verify, damaged=damaged, renew=renew)
    missing: list[Group] = []
    for group in groups:
        table = None if scores is None else load_group(scores, group, output, damaged)
        if scores is None or table is None:
            missing.append(group)
        else:
            scores = with_table(scores, group, table)
    return scores, missing


def up_to_date(
    unit: Unit,
    groups: Sequence[Group],
    output: str,
    *,
    verify: bool = False,
    elsewhere: str | None = None,
) -> Scores:
    """Give the facts and the scores of these groups; what is stored in `output` or elsewhere is not computed anew.

    What was computed, or read from the output `elsewhere`, is stored in `output`. Files there that could not be read,
    and are written anew, are said in `Scores.damaged`.
    """
    damaged: list[str] = []
    scores, missing = stored_scores(unit, groups, output, verify=verify, damaged=damaged, renew=True)
    if elsewhere is not None and (scores is None or missing):
        scores, missing = _taken_over(unit, scores, groups, missing, output, elsewhere, verify)
    if scores is None:
        scores = scan(unit, missing)
        save_scores(scores, missing, output)
        save_facts(scores, output)
    elif missing:
        scores = rescan(scores, missing)
        save_scores(scores, missing, output)
    return replace(scores, damaged=tuple(damaged))


def _taken_over(
    unit: Unit,
    scores: Scores | None,
    groups: Sequence[Group],
    missing: list[Group],
    output: str,
    elsewhere: str,
    verify: bool,
) -> tuple[Scores | None, list[Group]]:
    """Copy what `output` lacks from another output that knows the same bytes."""
    there, missing_there = stored_scores(unit, missing if scores else groups, elsewhere, verify=verify)
    if there is None or (scores is not None and there.sha256 != scores.sha256):
        return scores, missing
    names = {group.name for group in missing_there}
    copied = [group for group in missing if group.name not in names]
    tables: dict[str, pa.Table] = {group.name: there.tables[group.name] for group in copied}
    if scores is None:
        scores = Scores(unit, there.sha256, {FACTS: there.facts, **tables}, there.quarantine, there.witness)
        save_scores(scores, copied, output)
        save_facts(scores, output)
    else:
        for group in copied:
            scores = with_table(scores, group, tables[group.name])
        save_scores(scores, copied, output)
    return scores, missing_there
