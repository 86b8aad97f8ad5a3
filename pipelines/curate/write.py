"""Phase C: copies the kept pairs of one or more raw shards into a curated one.

A curated shard is a unit of commit: tar and index, decisions, status, and last the manifest. A
shard without a manifest does not exist; running it again gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from pipelines.common.config import hash_of, output_settings
from pipelines.common.files import join, remove_file
from pipelines.common.garbage import rare_collections
from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus_decision import CorpusDecision
from pipelines.curate.funnel import Funnel, add_funnels
from pipelines.curate.histograms import add_histograms, histograms
from pipelines.curate.identity import recipe_settings
from pipelines.curate.kept_samples import Part, Phrases, Written, kept_samples, phrases_in
from pipelines.curate.pairs_without_verdict import add_verdictless, pairs_without_verdict
from pipelines.curate.plan import Plan
from pipelines.curate.rule_counts import rule_counts
from pipelines.curate.scores.storage import QUARANTINE
from pipelines.curate.status import write_decisions, write_status
from pipelines.curate.update import FORMAT
from pipelines.shards.manifest import Manifest, manifest_uri, output_entry, write_manifest
from pipelines.shards.reader import read_index
from pipelines.shards.storage import index_name
from pipelines.shards.tar_format import Member
from pipelines.shards.witness import check_unchanged
from pipelines.shards.writer import write_shard

RECORD_VERSION = 1
"""Raise it when the same pair gets other bytes: every shard is then written anew."""

Places = dict[str, tuple[str, str, int]]
"""Of each key in the output: its tar, its key, and the offset of its first member."""


def write_unit(
    name: str,
    parts: Sequence[Part],
    output: str,
    config: CurateConfig,
    plan: Plan,
    earlier: Manifest | None = None,
    decisions: Sequence[CorpusDecision] = (),
    settings: Mapping[str, object] | None = None,
) -> Manifest:
    """Write the curated shard `name` and commit it; return its manifest. Without kept pairs there is no tar.

    `earlier`: the shard's manifest, where its tar stands as that says. The tar is left as it is where the same pairs
    are kept, and otherwise the phrases of captions that it holds are not found anew; nothing is written where the
    commit is of this recipe and these decisions. `decisions`: those of the rules over the corpus. Raises
    ShardChanged, with nothing committed, when a raw shard is no longer the file that was scanned. `settings`: those of
    the recipe (`recipe_settings`), by default found here.
    """
    parts = list(parts)
    digest = kept_digest(parts, config)
    settings = recipe_settings(config, plan) if settings is None else settings
    config_hash = hash_of(settings)
    keys = [decision.key for decision in decisions]
    if earlier is not None and earlier.get("kept") == digest:
        if earlier["config_hash"] == config_hash and earlier.get("decisions") == keys:
            return earlier  # committed by a run that was killed later
        # Whoever kills this run leaves status and decisions of two recipes: the commit says so until they are written.
        write_manifest(output, name, {**earlier, "decisions": None})
        outputs, contents = earlier["outputs"], earlier["contents"]
        renamed = _renamed(earlier)
        places = _places_in(outputs, output)
    else:
        outputs, contents, renamed, places = _write_tar(name, parts, output, config, earlier)
    shard_names = decisions[0].shard_names() if decisions else {}
    for part in parts:
        of_part = {
            key: place
            for key in part.scores.facts.column("key").to_pylist()
            if (place := places.get(renamed.get((part.name, key), key))) is not None
        }
        write_decisions(part.scores, part.decision, plan, output)
        write_status(part.scores, part.decision, plan, output, of_part, shard_names)
    manifest = {
        "format": FORMAT,
        "config_hash": config_hash,
        "config": settings,
        "rules": [step.name for step in plan.steps],
        "decisions": keys,
        "inputs": [_input(part) for part in parts],
        "outputs": outputs,
        "kept": digest,
        "renamed": [[shard, key, new] for (shard, key), new in sorted(renamed.items())],
        "contents": contents,
        "funnel": _funnel(parts, plan).as_json(),
        "histograms": add_histograms([histograms(part.scores, plan) for part in parts]),
        "no_verdict": add_verdictless(
            pairs_without_verdict(part.scores, part.decision, plan) for part in parts
        ),
        "history": _history(earlier, config_hash),
    }
    counts = add_verdictless(rule_counts(part.scores, part.decision, plan) for part in parts)
    if counts:
        manifest["rule_counts"] = counts
    for part in parts:
        if part.scores.witness is not None:
            check_unchanged(part.scores.unit.uri, part.scores.witness)
    write_manifest(output, name, manifest)
    return manifest


def kept_digest(parts: Sequence[Part], config: CurateConfig) -> str:
    """Hash what decides the bytes of a curated shard: the raw shards, the rows that are kept, and the phrases."""
    phrases = None if config.phrases is None else output_settings(config.phrases)
    digest = hashlib.sha256(hash_of({"record": RECORD_VERSION, "phrases": phrases}).encode())
    for part in parts:
        digest.update(part.scores.unit.name.encode() + b"\0" + bytes.fromhex(part.scores.sha256))
        digest.update(part.decision.kept.astype("<i8").tobytes() + b"\xff")
    return digest.hexdigest()


def _write_tar(
    name: str, parts: list[Part], output: str, config: CurateConfig, earlier: Manifest | None
) -> tuple[list[dict[str, object]], dict[str, dict[str, int]], dict[tuple[str, str], str], Places]:
    tar = f"{name}.tar"
    known = phrases_in(join(output, tar)) if _same_phrases(earlier, config) else {}
    remove_file(manifest_uri(output, name))  # an older commit names files that are replaced now
    written = Written()
    outputs: list[dict[str, object]] = []
    places: Places = {}
    if any(len(part.decision.kept) for part in parts):
        samples = kept_samples(parts, Phrases(config.phrases, known), written)
        with rare_collections():
            shard = write_shard(join(output, tar), samples)
        outputs.append(output_entry(shard))
        places = _places(tar, shard.members)
    else:
        for file in (tar, index_name(tar)):
            remove_file(join(output, file))
    contents = {
        "licences": dict(sorted(written.licences.items())),
        "domains": dict(sorted(written.domains.items())),
    }
    return outputs, contents, written.renamed, places


def _same_phrases(earlier: Manifest | None, config: CurateConfig) -> bool:
    """Whether the tar of an earlier commit holds phrases of this parser with these options."""
    if earlier is None or config.phrases is None or not earlier["outputs"]:
        return False
    phrases: object = earlier.get("config", {}).get("phrases")
    return phrases == output_settings(config.phrases)


def _renamed(manifest: Manifest) -> dict[tuple[str, str], str]:
    return {(shard, key): new for shard, key, new in manifest["renamed"]}


def _places_in(outputs: Sequence[Mapping[str, object]], output: str) -> Places:
    """The places of the samples of tars that are written."""
    found: Places = {}
    for entry in outputs:
        tar = str(entry["tar"])
        found.update(_places(tar, read_index(join(output, tar))))
    return found


def _places(tar: str, members: Iterable[Member]) -> Places:
    places: Places = {}
    for member in members:
        places.setdefault(member.key, (tar, member.key, member.offset))
    return places


def _input(part: Part) -> dict[str, object]:
    scores = part.scores
    return {
        "name": scores.unit.name,
        "uri": scores.unit.uri,
        "size": scores.unit.size,
        "sha256": scores.sha256,
        "rows": scores.facts.num_rows,
        "quarantine": f"{QUARANTINE}/{scores.unit.name}.parquet" if scores.quarantine.num_rows else None,
    }


def _funnel(parts: Sequence[Part], plan: Plan) -> Funnel:
    return add_funnels((part.decision.funnel for part in parts), plan)


def _history(earlier: Manifest | None, now: str) -> list[dict[str, object]]:
    """The configurations under which this shard was committed before, oldest first."""
    if earlier is None:
        return []
    history: list[dict[str, object]] = list(earlier.get("history", []))
    if earlier["config_hash"] != now:
        kept = earlier["funnel"]["kept"]
        history.append({"config_hash": earlier["config_hash"], "config": earlier.get("config"), "kept": kept})
    return history
