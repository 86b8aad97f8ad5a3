"""Runs one function over many shards with Ray Data: a task per group of shards, results as the groups end."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from data_filters.errors import InputError
from pipelines.common.causes import TaskFailed, explain, root_cause
from pipelines.ray_session import quiet_data as quiet_data  # for those who run something else on the same Ray
from pipelines.ray_session import running_ray as running_ray
from pipelines.shards.unit import JoinedUnit, Unit
from pipelines.task_groups import group_units

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset

Result = dict[str, Any]  # what the function returns; JSON
RETRIES = 3  # of a shard whose worker died (a crash, a kill, want of memory); Ray Data itself knows no limit
GROUP_RETRIES = 1  # of a group of several, before each of its shards gets a task of its own
MOST_DEAD = 3  # shards given up for that before the run ends at once
Batch = dict[str, Any]  # columns (or, of one row, values) by name, as Ray Data hands them over


@dataclass(frozen=True)
class Actors:
    """A pool of `size` processes, each with so many GPUs."""

    size: int
    gpus: float = 0


@overload
def for_each(
    function: Callable[[Unit], Result],
    units: list[Unit],
    workers: int | None,
    tell: Callable[[Unit, Result], None],
    *,
    keep_results: Literal[True] = True,
    actors: Actors | None = None,
) -> list[Result]: ...


@overload
def for_each(
    function: Callable[[Unit], Result],
    units: list[Unit],
    workers: int | None,
    tell: Callable[[Unit, Result], None],
    *,
    keep_results: bool,
    actors: Actors | None = None,
) -> list[Result] | None: ...


def for_each(
    function: Callable[[Unit], Result],
    units: list[Unit],
    workers: int | None,
    tell: Callable[[Unit, Result], None],
    *,
    keep_results: bool = True,
    actors: Actors | None = None,
) -> list[Result] | None:
    """Run `function` on every unit, at most `workers` at a time; small units share a task (`pipelines.task_groups`).

    `tell` is called with each unit and its result when the unit's task has ended. The result must be JSON. Results
    come back in the order of the units, whatever order they ended in; with `keep_results=False` `tell` is the only
    one who gets them, and None comes back.

    With `actors` the function runs in a pool of processes of fixed size that keep what it loads.

    After its worker died, a task runs again: `function` is called for all its units, so it should return at once where
    a unit is committed. A group whose worker died GROUP_RETRIES + 1 times is taken apart: each unit gets a task of its
    own, with RETRIES.

    Raises InputError or TaskFailed as soon as `function` raises; TaskFailed when workers died at every attempt at a
    unit, after the others are done unless MOST_DEAD units were given up.
    """
    if not units:
        return [] if keep_results else None
    run = _Run(function, units, workers, tell, keep_results, actors)
    with running_ray(workers) as ray, quiet_data(ray):
        cpus = workers or int(ray.cluster_resources().get("CPU", 1))
        waiting = list(range(len(units)))
        while waiting and not run.ends_at_once():
            groups = group_units([units[place].size for place in waiting], cpus)
            suspects = run.round(ray, [[waiting[at] for at in group] for group in groups])
            run.round(ray, [[place] for place in suspects])
            waiting = [place for place in waiting if not run.ended[place]]
    if run.dead:
        names = ", ".join(sorted(units[place].shard for place in run.dead))
        raise TaskFailed(
            f"workers died at every attempt at {names}: killed for want of memory or from outside, "
            "or crashed by what the shard holds; set workers lower, or take the shard out of the input, and run again"
        )
    return run.results if keep_results else None


class _Run:
    """How far a call of `for_each` is. Units are named by their place in the list."""

    def __init__(
        self,
        function: Callable[[Unit], Result],
        units: list[Unit],
        workers: int | None,
        tell: Callable[[Unit, Result], None],
        keep_results: bool,
        actors: Actors | None = None,
    ) -> None:
        self.function, self.units, self.workers, self.tell = function, units, workers, tell
        self.actors = actors
        self.ended = bytearray(len(units))  # 1: has a result, or was given up
        self.dead: list[int] = []
        self.results: list[Result] = [{}] * len(units) if keep_results else []

    def ends_at_once(self) -> bool:
        """Whether so many units were given up that the next would be too."""
        return len(self.dead) >= MOST_DEAD

    def round(self, ray: ModuleType, groups: Sequence[Sequence[int]]) -> list[int]:
        """Run one task per group; returns the units of the groups of several whose worker died again and again.

        Ends early at MOST_DEAD such groups, whose shards then have to be looked at, and at MOST_DEAD dead units.
        """
        suspects: list[int] = []
        groups_left = MOST_DEAD
        if not groups or self.ends_at_once():
            return suspects
        # A limit above the number of tasks is warned of.
        limit = (
            {"compute": ray.data.TaskPoolStrategy(size=min(self.workers, len(groups)))}
            if self.workers
            else {}
        )
        # One block per group, so that one group is one task. Units and results travel as text: a schema inferred
        # from rows would depend on which row came first.
        tasks = ray.data.from_items(
            [{"units": json.dumps([self._fields(place) for place in group])} for group in groups],
            override_num_blocks=len(groups),
        )
        arguments = (self.function, RETRIES, GROUP_RETRIES)
        if self.actors is None:
            done = tasks.flat_map(GroupTask(*arguments), num_cpus=1, **limit)
        else:
            pool = ray.data.ActorPoolStrategy(size=min(self.actors.size, len(groups)))
            done = tasks.flat_map(
                GroupTask, fn_constructor_args=arguments, compute=pool, num_cpus=1, num_gpus=self.actors.gpus
            )
        for row in _rows_as_they_come(done):
            raise_failure(row["error"])
            places = json.loads(row["places"])
            if row["result"]:
                self._end(places[0], json.loads(row["result"]))
            elif len(places) > 1:
                suspects += places
                groups_left -= 1
            else:
                self.dead += places
                self.ended[places[0]] = True
            if not groups_left or self.ends_at_once():
                break
        return suspects

    def _fields(self, place: int) -> list[object]:
        unit = self.units[place]
        fields: list[object] = [place, unit.name, unit.uri, unit.size]
        if isinstance(unit, JoinedUnit):
            fields.append([[part.name, part.uri, part.size] for part in unit.parts])
        return fields

    def _end(self, place: int, result: Result) -> None:
        self.ended[place] = True
        if self.results:
            self.results[place] = result
        self.tell(self.units[place], result)


def _rows_as_they_come(dataset: Dataset) -> Iterator[Batch]:
    """The rows of each block as soon as it is there; `iter_rows` keeps one back until the next has come."""
    for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from cast("pa.Table", block).to_pylist()


class GroupTask:
    """A function of a unit as Ray Data calls it: a row with the units of a group in, a row for each unit out.

    `places` of a row says of which units it is, as a JSON list: of one, with its result as text or the error that
    ends the group; or of all, with neither, where the worker died at more attempts before than
    `retries` (a group of one) or `group_retries` allow.
    """

    def __init__(self, function: Callable[[Unit], Result], retries: int, group_retries: int) -> None:
        self.function, self.retries, self.group_retries = function, retries, group_retries

    def __call__(self, row: Batch) -> Iterator[dict[str, str]]:
        units = [(place, _unit(*fields)) for place, *fields in json.loads(row["units"])]
        if _attempt() > (self.retries if len(units) == 1 else self.group_retries):
            yield {"places": json.dumps([place for place, _ in units]), "result": "", "error": ""}
            return
        for place, unit in units:
            try:
                result, error = json.dumps(self.function(unit)), ""
            except Exception as raised:
                result, error = "", failure(raised)
            yield {"places": json.dumps([place]), "result": result, "error": error}
            if error:
                return


def _unit(name: str, uri: str, size: int, parts: Sequence[tuple[str, str, int]] = ()) -> Unit:
    return (
        JoinedUnit(name, uri, size, tuple(Unit(*part) for part in parts)) if parts else Unit(name, uri, size)
    )


def _attempt() -> int:
    """How often Ray began this task before, since its worker died each time; 0 outside of Ray."""
    # Ray has no public name for this. Limits on retries can be given to Ray Data only by deprecated arguments.
    from ray._private.worker import global_worker

    worker: Any = global_worker  # Ray's stubs do not know its attributes
    return int(worker.core_worker.get_current_task_attempt_number()) if worker.connected else 0


def failure(error: Exception) -> str:
    """An error on a worker as text for the driver. An error that is raised there would come back as Ray's own."""
    kind = "input" if isinstance(root_cause(error), InputError) else "task"
    about = {"kind": kind, "line": explain(error), "traceback": "".join(traceback.format_exception(error))}
    return json.dumps(about)


def raise_failure(text: str) -> None:
    """Raise what `failure` made of a worker's error: InputError or TaskFailed, the traceback as a note; "" is none."""
    if not text:
        return
    about = json.loads(text)
    error = InputError(about["line"]) if about["kind"] == "input" else TaskFailed(about["line"])
    error.add_note(about["traceback"])
    raise error
