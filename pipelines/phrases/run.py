"""`loupe phrases`: extracts phrases again from curated shards, through Ray Data.

Use it when a better parser is available: it writes new shards with new `loupe.phrases` and everything else byte for
byte as it was, without curating again. One shard is one task and one unit of commit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from data_filters.errors import InputError
from pipelines.common.causes import TaskFailed
from pipelines.common.files import absolute, filesystem, join, remove_partials
from pipelines.common.ownership import owned
from pipelines.phrases.config import PhrasesConfig, parser
from pipelines.phrases.shard_copy import copy_with_phrases, shard_name
from pipelines.ray_tasks import Result, failure, for_each
from pipelines.shards.manifest import (
    MANIFESTS,
    CommittedShard,
    check_same_config,
    committed_shards,
    read_manifests,
)
from pipelines.shards.unit import Unit

Progress = Callable[[int, int], None]  # (shards done, shards in all)
NAMED = 3  # failed shards that an error names


@dataclass
class PhrasesSummary:
    """What a pass did, in samples: how many were read, have a phrase, could not be read; phrases in all."""

    output: str
    shards: int = 0
    skipped_shards: int = 0
    samples: int = 0
    with_phrases: int = 0
    phrases: int = 0
    quarantine: dict[str, int] = field(default_factory=dict)


def phrases_pass(
    input_uri: str | os.PathLike[str],
    output_uri: str | os.PathLike[str],
    config: PhrasesConfig | None = None,
    progress: Progress | None = None,
) -> PhrasesSummary:
    """Copy curated shards and extract the phrases of each caption again; shards already committed are skipped.

    Every member but `KEY.json` goes out as it came. Raises InputError when the input holds no curated shards, the
    output is the input, or it was begun with other settings or from other shards; TaskFailed (or InputError, where
    that is the cause) when a shard could not be copied, after all the others are committed. While another process
    writes into the output, it is refused.
    """
    with owned(os.fspath(output_uri)):
        return _phrases_pass(input_uri, output_uri, config or PhrasesConfig(), progress)


def _phrases_pass(
    input_uri: str | os.PathLike[str],
    output_uri: str | os.PathLike[str],
    config: PhrasesConfig,
    progress: Progress | None,
) -> PhrasesSummary:
    """`phrases_pass` in a folder that this process owns."""
    source, target = absolute(input_uri), absolute(output_uri)  # a Ray worker may run in another folder
    if filesystem(source)[1].rstrip("/") == filesystem(target)[1].rstrip("/"):
        raise InputError(f"output is {target}, the input itself; nothing is overwritten; name another output")
    shards = committed_shards(source)
    if not shards:
        raise InputError(
            f"input is {source}, which holds no committed shards; expected the output of `loupe curate`; set --input"
        )
    config.load()  # a missing model is reported here in one line, not from a worker
    done = _committed(shards, target, config)
    todo = [shard for shard in shards if shard.uri not in done]
    for folder in ("", MANIFESTS):
        remove_partials(join(target, folder))
    summary = PhrasesSummary(target, skipped_shards=len(shards) - len(todo))

    def tell(unit: Unit, result: Result) -> None:
        if result["error"]:
            return
        _count(summary, result["manifest"])
        if progress is not None:
            progress(summary.skipped_shards + summary.shards, len(shards))

    sha256 = {shard_name(shard.uri): shard.sha256 for shard in todo}
    units = [Unit(shard_name(shard.uri), shard.uri, shard.size or 0) for shard in todo]
    copied = for_each(_CopyShard(sha256, target, config), units, config.workers, tell)
    failures = {
        unit.uri: result["error"] for unit, result in zip(units, copied, strict=True) if result["error"]
    }
    _raise_failures(failures, len(todo))
    return summary


class _CopyShard:
    """Reads a shard on a Ray worker, writes the new one, then its manifest. An error is a result: the others go on."""

    def __init__(self, sha256: dict[str, str], target: str, config: PhrasesConfig) -> None:
        self.sha256, self.target, self.config = sha256, target, config

    def __call__(self, unit: Unit) -> Result:
        try:
            extract = parser(self.config)
            manifest = copy_with_phrases(unit.uri, self.sha256[unit.name], self.target, self.config, extract)
        except Exception as error:
            return {"error": failure(error)}
        return {"error": "", "manifest": manifest}


def _raise_failures(failures: dict[str, str], tried: int) -> None:
    """Raise one error for the shards that failed: URI → text of `failure`. Nothing happens where there are none."""
    if not failures:
        return
    read = [json.loads(text) for text in failures.values()]
    said = zip(failures, (failed["line"] for failed in read), strict=True)
    lines = [line if uri in line else f"{uri}: {line}" for uri, line in said]
    more = f"; and {len(lines) - NAMED} more" if len(lines) > NAMED else ""
    line = f"{len(lines)} of {tried} shards could not be copied: {'; '.join(lines[:NAMED])}{more}"
    error = InputError(line) if any(failed["kind"] == "input" for failed in read) else TaskFailed(line)
    for failed in read[:NAMED]:
        error.add_note(failed["traceback"])
    raise error


def _committed(shards: list[CommittedShard], target: str, config: PhrasesConfig) -> set[str]:
    """The shards (their URIs) that the output holds already, by these settings and from these bytes.

    A shard whose bytes changed since is not among them: it is copied anew.
    """
    manifests = read_manifests(target, skip_damaged=True)
    check_same_config(target, manifests, config)
    done = set()
    for shard in shards:
        manifest = manifests.get(shard_name(shard.uri))
        if manifest is None:
            continue
        if manifest["input"]["sha256"] == shard.sha256:
            done.add(shard.uri)
        elif manifest["input"]["uri"] != shard.uri:
            raise InputError(
                f"output {target} holds {shard_name(shard.uri)} made from {manifest['input']['uri']}, this run reads "
                f"{shard.uri}, which has other bytes; name another output"
            )
    return done


def _count(summary: PhrasesSummary, manifest: dict[str, dict[str, int]]) -> None:
    for name, number in manifest["funnel"].items():
        setattr(summary, name, getattr(summary, name) + number)
    for reason, number in manifest["quarantine"].items():
        summary.quarantine[reason] = summary.quarantine.get(reason, 0) + number
    summary.shards += 1
