"""Reads the cause of an error out of what frameworks wrap around it, and says it in one line.

Ray, Ray Data and Ray Train raise errors of their own that hold the worker's error in an attribute; their text speaks of
tasks and retries. Attributes are read by name, so that no framework is imported.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping

from data_filters.errors import InputError

_WRAPPED = ("cause", "controller_failure", "training_failed_error", "error", "base_exc")
_WORKERS = "worker_failures"  # Ray Train: rank → exception
_OUT_OF_MEMORY = ("OutOfMemoryError",)
_KILLED = ("WorkerCrashedError", "LocalRayletDiedError", "NodeDiedError", "ActorDiedError", "OwnerDiedError")
_GLUE = ("UserCodeException", "RayTaskError", "WorkerGroupError", "ControllerError", "TrainingFailedError")
_ADVICE = {
    errno.ENOSPC: "free some space and run again: what is finished stays",
    errno.EDQUOT: "the quota is used up; free some space and run again: what is finished stays",
    errno.EFBIG: "a limit on the size of files (ulimit -f, or the file system's) was met",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "choose a place that this user may read and write",
    errno.EPERM: "choose a place that this user may read and write",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


class RunFailed(RuntimeError):
    """A run cannot go on; the text says why, and what to do, in one line, to which the class's name adds nothing."""


class TaskFailed(RunFailed):
    """A task on a worker failed; the text is the line that `explain` makes of its error there."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and everything that it was raised from or holds, from the outermost inwards, each once."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        now = waiting.pop(0)
        if id(now) in seen:
            continue
        seen.add(id(now))
        yield now
        waiting += _inner(now)


def root_cause(error: BaseException) -> BaseException:
    """The error that tells most: the user's input, else a lack of memory, else what is innermost."""
    found = list(chain(error))
    for inner in found:
        if isinstance(inner, InputError) and not _is_glue(inner):
            return inner
    for inner in found:
        if type(inner).__name__ in _OUT_OF_MEMORY:
            return inner
    for inner in found:
        if isinstance(inner, InputError):
            return inner
    plain = [inner for inner in found if not _is_glue(inner)]
    return plain[-1] if plain else found[-1]


def name_file(error: BaseException, path: str) -> None:
    """Note in an error of the operating system which file it is about, where it does not say: `write` never does."""
    if isinstance(error, OSError) and error.errno is not None and error.filename is None:
        error.filename = path


def explain(error: BaseException) -> str:
    """Say the cause in one line: with the path and a remedy where the operating system refused something."""
    cause = root_cause(error)
    name = type(cause).__name__
    if isinstance(cause, (InputError, RunFailed)):
        return _line(str(cause))
    if name in _OUT_OF_MEMORY:
        return "a worker was killed because the machine ran out of memory; set workers lower, or give more memory"
    if name in _KILLED:
        return (
            f"a worker process died ({name}): killed from outside, for want of memory, or crashed; run again"
        )
    if isinstance(cause, MemoryError):
        return f"a worker ran out of memory{': ' if str(cause) else ''}{_line(str(cause))}; set workers lower"
    if isinstance(cause, OSError) and cause.strerror:
        return _refusal(cause)
    return f"{name}: {_line(str(cause))}"


def _refusal(error: OSError) -> str:
    """`No space left on device: /path; free some space ...`."""
    paths = [str(path) for path in (error.filename, error.filename2) if path is not None]
    text = ": ".join([str(error.strerror), *([" -> ".join(paths)] if paths else [])])
    advice = _ADVICE.get(error.errno or 0)
    return f"{text}; {advice}" if advice else text


def _inner(error: BaseException) -> list[BaseException]:
    held = [getattr(error, name, None) for name in _WRAPPED]
    workers = getattr(error, _WORKERS, None)
    if isinstance(workers, Mapping):
        held += [workers[rank] for rank in sorted(workers, key=str)][::-1]
    held += list(getattr(error, "exceptions", None) or ())
    found = [inner for inner in held if isinstance(inner, BaseException)]
    if error.__cause__ is not None:
        found.append(error.__cause__)
    elif not found and error.__context__ is not None and not error.__suppress_context__ and _is_glue(error):
        found.append(error.__context__)  # elsewhere the context is what was being handled, not the cause
    return found


def _is_glue(error: BaseException) -> bool:
    """Whether an error only carries another one; Ray makes classes that inherit from its own and the cause's."""
    return any(base.__name__.startswith(_GLUE) for base in type(error).__mro__)


def _line(text: str) -> str:
    """The last line of a text that says anything."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else ""
