"""Stores the scores of a raw shard, `OUTPUT/scores/GROUP/NAME.parquet`, and its `OUTPUT/quarantine/NAME.parquet`.

The rows of every group are the shard's readable pairs, in its order. The file's metadata say of which bytes, version
and settings the values are; a group is computed anew when one of these changes.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.common.files import filesystem, join, read_parquet, remove_file, write_parquet
from pipelines.curate.look.group import AnyLook, stored_schema
from pipelines.curate.scores.facts import FACTS, FACTS_SCHEMA, FACTS_VERSION
from pipelines.curate.scores.group import Group
from pipelines.shards.unit import Unit
from pipelines.shards.witness import Witness, read_sha256, witness

SCORES = "scores"
QUARANTINE = "quarantine"
DAMAGED = (pa.ArrowException, OSError)  # a cut file, pages of zeros

QUARANTINE_SCHEMA = pa.schema(
    [
        ("shard", pa.string()),
        ("offset", pa.int64()),
        ("key", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("exception", pa.string()),
        ("count", pa.int64()),  # samples lost
        ("estimated", pa.bool_()),  # whether `count` is an estimate
    ]
)

# Any: the metadata of a file, which is JSON.
About = Mapping[str, Any]


@dataclass
class Scores:
    """What is known of a raw shard: a table for each group of scores, and the samples that could not be read.

    `witness`: that of the shard's file while it was read. `seconds`: what computing each group has just taken, by name;
    empty where all was read from files. `damaged`: files of an output that could not be read, as GROUP/NAME.parquet.
    """

    unit: Unit
    sha256: str
    tables: dict[str, pa.Table]
    quarantine: pa.Table = field(default_factory=QUARANTINE_SCHEMA.empty_table)
    witness: Witness | None = None
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
    damaged: tuple[str, ...] = ()

    @property
    def facts(self) -> pa.Table:
        """The group that every shard has."""
        return self.tables[FACTS]

    def columns(self, names: Iterable[str]) -> pa.Table:
        """These columns, of whatever groups. Raises KeyError when no group has one."""
        holding: dict[str, pa.Table] = {}
        for table in reversed(self.tables.values()):
            holding.update(dict.fromkeys(table.column_names, table))
        chosen = {name: holding[name].column(name) for name in names}
        return pa.table(chosen) if chosen else self.facts.select(["key"])


def scores_uri(output: str, group: str, name: str) -> str:
    """The URI of the scores of unit `name` in a group."""
    return join(output, SCORES, group, f"{name}.parquet")


def stored_groups(output: str) -> list[str]:
    """The names of all groups that an output has a folder of, whatever recipe they were computed for."""
    fs, folder = filesystem(join(output, SCORES))
    found = fs.ls(folder, detail=False) if fs.isdir(folder) else []
    return sorted(posixpath.basename(str(path).rstrip("/")) for path in found)


def save_scores(scores: Scores, groups: Sequence[Group | AnyLook], output: str) -> None:
    """Write the tables of these groups. One that a power cut takes away or damages is computed anew."""
    for group in groups:
        table = _with(scores.tables[group.name], _about_group(scores, group))
        write_parquet(scores_uri(output, group.name, scores.unit.name), table, lasting=False)


def save_facts(scores: Scores, output: str) -> None:
    """Write the quarantine (when there is any), then the facts; facts that exist mean that both are done.

    The facts say how many rows the quarantine has, so that facts whose quarantine a power cut has taken away or
    damaged count as none.
    """
    quarantine = join(output, QUARANTINE, f"{scores.unit.name}.parquet")
    if scores.quarantine.num_rows:
        write_parquet(quarantine, scores.quarantine, lasting=False)
    else:
        remove_file(quarantine)
    about = {"version": FACTS_VERSION, "sha256": scores.sha256, **asdict(scores.unit)}
    about["quarantined"] = scores.quarantine.num_rows
    if scores.witness is not None:
        about["witness"] = scores.witness.as_json()
    write_parquet(scores_uri(output, FACTS, scores.unit.name), _with(scores.facts, about), lasting=False)


def load_facts(
    unit: Unit,
    output: str,
    *,
    verify: bool = False,
    damaged: list[str] | None = None,
    renew: bool = False,
) -> Scores | None:
    """Read the facts of the same bytes that an earlier run has found; None when there are none.

    With `verify` the shard is read to compare its sha256, whatever its witness says. Files that are there and cannot be
    read are added to `damaged`. With `renew` it is noted where these bytes lie now, and under which witness.
    """
    table = _read(scores_uri(output, FACTS, unit.name), damaged)
    about = {} if table is None else about_file(table.schema)
    if table is None or about.get("version") != FACTS_VERSION or not table.schema.equals(FACTS_SCHEMA):
        return None
    now = confirm(unit, about, verify)
    if now is None:
        return None
    bad = QUARANTINE_SCHEMA.empty_table()
    if about.get("quarantined"):
        bad = _read(join(output, QUARANTINE, f"{unit.name}.parquet"), damaged)
    if bad is None or bad.num_rows != about.get("quarantined"):
        return None  # its file is gone or damaged: what it counted would be forgotten
    if renew:
        _renew(table, about, unit, output, now)
    return Scores(unit, about["sha256"], {FACTS: table.replace_schema_metadata()}, bad, now)


def load_group(
    scores: Scores, group: Group | AnyLook, output: str, damaged: list[str] | None = None
) -> pa.Table | None:
    """Read the values of a group for the pairs in `scores.facts`; None when they are not there or out of date.

    A file that is there and cannot be read is added to `damaged`.
    """
    table = _read(scores_uri(output, group.name, scores.unit.name), damaged)
    if table is None or not table.schema.equals(stored_schema(group)):
        return None
    if (table.schema.metadata or {}).get(b"loupe") != _encoded(_about_group(scores, group)):
        return None
    return table.replace_schema_metadata()


def scores_of_unit(name: str, groups: Sequence[Group | AnyLook], output: str) -> list[pa.Table]:
    """Read the facts of a unit and those of the groups that hold the same pairs in this version with these settings.

    The raw shard need not be there.
    """
    facts = _read(scores_uri(output, FACTS, name))
    about = {} if facts is None else about_file(facts.schema)
    if facts is None or about.get("version") != FACTS_VERSION:
        return []
    scores = Scores(Unit(name, about["uri"], about["size"]), about["sha256"], {FACTS: facts})
    found = (load_group(scores, group, output) for group in groups)
    return [facts.replace_schema_metadata(), *(table for table in found if table is not None)]


# Any: a record that stands in a file; whatever it lacks counts as not equal.
def confirm(unit: Unit, stored: About, verify: bool) -> Witness | None:
    """The shard's witness now, where it still holds the bytes of the record `stored`; None where it does not.

    `stored` holds uri, size, sha256 and, where known, witness. Equal witnesses of one URI are proof enough unless
    `verify` is set; otherwise the shard is read.
    """
    now, before = witness(unit.uri), Witness.from_json(stored.get("witness"))
    if not verify and stored.get("uri") == unit.uri and before is not None and before.vouches(now):
        return now
    if stored.get("size") != now.size:
        return None
    sha256, now = read_sha256(unit.uri)
    return now if sha256 == stored.get("sha256") else None


def read_identity(name: str, output: str) -> dict[str, Any]:
    """What the facts of a unit say of the shard that was scanned; empty where there are none."""
    fs, path = filesystem(scores_uri(output, FACTS, name))
    if not fs.exists(path):
        return {}
    with fs.open(path, "rb") as file:
        try:
            return about_file(pq.read_schema(file))
        except DAMAGED:
            return {}


def facts_identity(name: str, output: str) -> tuple[dict[str, Any], int]:
    """What the facts of a unit say of its raw shard, and the number of its pairs; empty where they cannot be used."""
    fs, path = filesystem(scores_uri(output, FACTS, name))
    with fs.open(path, "rb") as file:
        try:
            footer = pq.read_metadata(file)
        except DAMAGED:
            return {}, 0
    schema = footer.schema.to_arrow_schema()
    about = about_file(schema)
    if about.get("version") != FACTS_VERSION or not schema.equals(FACTS_SCHEMA):
        return {}, 0
    return about, footer.num_rows


def renew_identity(unit: Unit, output: str, now: Witness) -> None:
    """Note with the facts that these bytes lie at the unit's URI under another witness; nothing where they say so."""
    table = _read(scores_uri(output, FACTS, unit.name))
    if table is not None and (about := about_file(table.schema)):
        _renew(table, about, unit, output, now)


def _renew(table: pa.Table, about: About, unit: Unit, output: str, now: Witness) -> None:
    renewed = {**about, **asdict(unit), "witness": now.as_json()}
    if renewed != about:
        write_parquet(scores_uri(output, FACTS, unit.name), _with(table, renewed))


def first_quarantined(units: Iterable[Unit], output: str) -> str | None:
    """Return what is said of the first sample that is lost: its shard, and the reason with its text."""
    fs, folder = filesystem(join(output, QUARANTINE))
    there = set(map(posixpath.basename, fs.ls(folder, detail=False))) if fs.isdir(folder) else set()
    for unit in units:
        if f"{unit.name}.parquet" not in there:
            continue
        table = _read(join(output, QUARANTINE, f"{unit.name}.parquet"))
        for row in [] if table is None else table.to_pylist():
            if row["count"]:
                return f"{row['shard']}: {row['exception']}"
    return None


def with_table(scores: Scores, group: Group | AnyLook, table: pa.Table) -> Scores:
    """The scores with those of another group."""
    return replace(scores, tables={**scores.tables, group.name: table})


def about_group(group: Group | AnyLook, name: str, sha256: str, rows: int) -> dict[str, object]:
    """What the metadata of a group's file say of the raw shard `name` with these bytes and so many pairs."""
    return {
        "facts": FACTS_VERSION,
        "version": group.version,
        "settings": dict(group.settings()),
        "name": name,
        "sha256": sha256,
        "rows": rows,
    }


def _about_group(scores: Scores, group: Group | AnyLook) -> dict[str, object]:
    return about_group(group, scores.unit.name, scores.sha256, scores.facts.num_rows)


def _with(table: pa.Table, about: Mapping[str, object]) -> pa.Table:
    return table.replace_schema_metadata({b"loupe": _encoded(about)})


def _encoded(about: Mapping[str, object]) -> bytes:
    return json.dumps(about, sort_keys=True).encode()


def about_file(schema: pa.Schema) -> dict[str, Any]:
    """What the metadata of a file of scores say; empty where they are none of ours."""
    try:
        about = json.loads((schema.metadata or {}).get(b"loupe", b"{}"))
    except ValueError:  # a footer of which a crash left something else; UnicodeDecodeError is one too
        return {}
    return about if isinstance(about, dict) else {}


def _read(uri: str, damaged: list[str] | None = None) -> pa.Table | None:
    try:
        return read_parquet(uri)
    except DAMAGED:  # by a crash of the machine: computed anew
        if damaged is not None:
            damaged.append("/".join(uri.split("/")[-2:]))
        return None
