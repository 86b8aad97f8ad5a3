"""`loupe phrases`: extracts phrases again from curated shards, through Ray Data.

Use it when a better parser is available: it writes new shards with new `loupe.phrases` and everything else byte for
byte as it was, without curating again. One shard is one task and one unit of commit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from data_filters.errors import InputError
from pipelines.common.causes import TaskFailed, explain
from pipelines.common.files import absolute, filesystem
from pipelines.common.ownership import owned
from pipelines.phrases.config import PhrasesConfig
from pipelines.phrases.shard_copy import copy_with_phrases, shard_name
from pipelines.ray_tasks import Batch, quiet_data, running_ray
from pipelines.shards.manifest import CommittedShard, check_same_config, committed_shards, read_manifests

Progress = Callable[[int, int], None]  # (shards done, shards in all)


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
    output is the input, or it was begun with other settings or from other shards; RuntimeError when a shard could
    not be read, after all the others are committed. While another process writes into the output, it is refused.
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
    config.load()  # a missing model is reported here in one line, not from within an actor
    done = _committed(shards, target, config)
    todo = [shard for shard in shards if shard.uri not in done]
    summary = PhrasesSummary(target, skipped_shards=len(shards) - len(todo))
    failed = []
    for row in _run(todo, target, config):
        if row["error"]:
            failed.append(f"{row['uri']}: {row['error']}")
            continue
        _count(summary, json.loads(row["manifest"]))
        if progress is not None:
            progress(summary.skipped_shards + summary.shards, len(shards))
    if failed:
        raise TaskFailed(
            f"{len(failed)} of {len(todo)} shards could not be read: {'; '.join(sorted(failed))}"
        )
    return summary


def _run(todo: list[CommittedShard], target: str, config: PhrasesConfig) -> Iterator[dict[str, str]]:
    """Copy every shard on Ray workers; yields {uri, manifest, error} of each as it ends."""
    if not todo:
        return
    from ray.data import from_items

    from pipelines.phrases.stage import parsers

    items = [{"uri": shard.uri, "sha256": shard.sha256} for shard in todo]
    with running_ray(config.workers) as running, quiet_data(running):
        # mypy: Ray's stubs know functions here, not the classes that its documentation asks for with actors.
        dataset = from_items(items, override_num_blocks=len(items)).map(
            _ShardPass,  # type: ignore[arg-type]
            fn_constructor_args=(target, config),
            compute=parsers(config, len(items)),
        )
        yield from dataset.iter_rows()


class _ShardPass:
    """A Ray actor with one parser: reads a shard, writes the new one, then its manifest."""

    def __init__(self, target: str, config: PhrasesConfig) -> None:
        self.target = target
        self.config = config
        self.extract = config.load()

    def __call__(self, row: Batch) -> dict[str, str]:
        try:
            manifest = copy_with_phrases(row["uri"], row["sha256"], self.target, self.config, self.extract)
        except Exception as error:
            return {"uri": row["uri"], "manifest": "", "error": explain(error)}
        return {"uri": row["uri"], "manifest": json.dumps(manifest), "error": ""}


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
