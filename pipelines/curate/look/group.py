"""What a group of scores is that needs pixels or a model: computed for the pairs that stay so far, for no others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from typing_extensions import TypeIs

from data_filters.errors import InputError
from pipelines.curate.look.band import Band
from pipelines.curate.look.picture import Picture
from pipelines.curate.scores.group import Columns

T = TypeVar("T", bound=Columns)

LOOKED = "looked"
FAULT = "fault"


class LookGroup(Columns, Protocol):
    """Scores of pairs whose image is decoded. Its columns are null for a pair that was not looked at.

    They are stored in `OUTPUT/scores/NAME/SHARD.parquet`, where they stay valid as those of `Group` do; pairs that a
    later recipe needs are added. It is pickled to actors: load a model at the first `measure`.
    """

    @property
    def at_least(self) -> int:
        """Pixels of the shorter side that it needs (`data_filters.decode.decode`); 0: the whole image."""
        ...

    def measure(self, pictures: Sequence[Picture]) -> pa.RecordBatch:
        """Compute a row for each picture, in their order; every one decodes at `at_least`."""
        ...


class DerivedGroup(Columns, Protocol):
    """Scores that are computed from columns of a look group and of the facts: no image is decoded for them."""

    def sources(self) -> Sequence[LookGroup]:
        """The look groups whose columns it reads; a rule names them before it."""
        ...

    def reads(self) -> Sequence[str]:
        """The columns that it is computed from."""
        ...

    def derive(self, table: pa.Table) -> pa.RecordBatch:
        """Compute a row for each row of these columns."""
        ...


class SparingGroup(LookGroup, Protocol):
    """A look group that leaves out pairs for which it is settled by other columns, or by its own, what becomes of them.

    Where that changes what is stored stays valid: a pair that then needs a score it lacks is looked at again.
    """

    @property
    def band(self) -> Band | None:
        """What decides which pairs are left out, and changes no score."""
        ...

    def reads(self) -> Sequence[str]:
        """The columns that `wanted` needs: of the facts, of any other group that is no derived one, and its own."""
        ...

    def wanted(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Whether each row of these columns, null where nobody has looked, needs a score that it lacks."""
        ...

    def broken(self, batch: pa.RecordBatch) -> Sequence[str | None]:
        """Of each row that was measured why it is set aside, as `reason: detail`; None for one with scores."""
        ...


AnyLook = LookGroup | DerivedGroup


def is_look_group(group: Columns) -> TypeIs[AnyLook]:
    """Whether a group is computed in phase L."""
    return hasattr(group, "at_least") or is_derived(group)


def is_derived(group: Columns) -> TypeIs[DerivedGroup]:
    """Whether a group is computed from columns that are there."""
    return hasattr(group, "derive")


def is_sparing(group: Columns) -> TypeIs[SparingGroup]:
    """Whether a group leaves out pairs that other columns settle."""
    return hasattr(group, "wanted")


def reads_of(group: Columns, others: Iterable[Columns]) -> bool:
    """Whether a look group needs the columns of others to know at which pairs to look."""
    columns = {name for other in others if other.name != group.name for name in other.schema().names}
    return is_sparing(group) and not columns.isdisjoint(group.reads())


def sources_first(groups: Sequence[T]) -> list[T]:
    """Groups in their order, but that one whose columns another reads comes before that.

    Raises InputError where two read each other's.
    """
    found, waiting = [], list(groups)
    while waiting:
        ready = next((group for group in waiting if not reads_of(group, waiting)), None)
        if ready is None:
            names = " and ".join(group.name for group in waiting)
            raise InputError(
                f"the scores {names} wait for each other's (rules' option `after`); take it off one of these rules"
            )
        found.append(ready)
        waiting.remove(ready)
    return found


def stored_schema(group: Columns) -> pa.Schema:
    """The columns of a group's file: its own, and in phase L whether a pair was looked at and why it did not decode."""
    if not is_look_group(group):
        return group.schema()
    looked, fault = looked_column(group), fault_column(group)
    return pa.schema([*group.schema(), (looked, pa.bool_()), (fault, pa.string())])


def looked_column(group: AnyLook) -> str:
    """The name of the column that says whether a pair was looked at."""
    return f"{group.name}_{LOOKED}"


def fault_column(group: AnyLook) -> str:
    """The name of the column with `reason: detail` of an image that does not decode, null for one that does."""
    return f"{group.name}_{FAULT}"


def empty_table(group: AnyLook, rows: int) -> pa.Table:
    """The table of a shard of which no pair was looked at."""
    schema = stored_schema(group)
    columns = {field.name: pa.nulls(rows, field.type) for field in schema}
    columns[looked_column(group)] = pa.array([False] * rows, pa.bool_())
    return pa.table(columns, schema)
