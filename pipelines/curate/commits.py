"""What a run keeps in memory of an output's manifests: about 2 KB of each, since there may be a million.

What only the end of a run needs is summed while the manifests are read once more, one by one.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pipelines.curate.funnel import Funnel, add_to, empty_funnel, funnel_from_json
from pipelines.curate.histograms import Histograms, add_histograms
from pipelines.curate.pairs_without_verdict import add_verdictless
from pipelines.curate.plan import Plan
from pipelines.shards.manifest import Manifest

OF_COMMIT = ("version", "format", "config_hash", "config", "decisions")
OF_INPUT = ("name", "uri", "size", "sha256", "rows")
OF_OUTPUT = ("tar", "samples", "size", "sha256")
MOST_NAMES = 100_000  # licences or domains of a data set that are counted by name
OTHER = "(other)"
MOST_FILES = 500  # of the quarantine, of which a report shows examples


@dataclass(frozen=True, slots=True)
class PackedFunnel:
    """A funnel's JSON, compressed by what it has in common with that of another commit."""

    data: bytes
    like: bytes

    def unpacked(self) -> Any:
        """The funnel as JSON holds it."""
        return json.loads(zlib.decompressobj(zdict=self.like).decompress(self.data))


class Slim:
    """Makes of a manifest what a run needs of a commit: OF_COMMIT, of inputs and outputs OF_INPUT and OF_OUTPUT.

    The funnel becomes a `PackedFunnel`, which `funnel_of` reads. What is equal in many manifests becomes one object.
    """

    def __init__(self) -> None:
        self._shared: dict[str, Any] = {}
        self._like = b""

    def __call__(self, manifest: Manifest) -> Manifest:
        kept: Manifest = {}
        for key in OF_COMMIT:
            if key in manifest:
                # A configuration is told by its hash, the other values by their text.
                told = manifest["config_hash"] if key == "config" else manifest[key]
                kept[key] = self._shared.setdefault(f"{key} {told}", manifest[key])
        if "inputs" in manifest:
            kept["inputs"] = [
                {key: part[key] for key in OF_INPUT if key in part} for part in manifest["inputs"]
            ]
        kept["outputs"] = [
            {key: entry[key] for key in OF_OUTPUT if key in entry} for entry in manifest["outputs"]
        ]
        kept["funnel"] = self._packed(manifest["funnel"])
        return kept

    def _packed(self, funnel: object) -> PackedFunnel:
        text = json.dumps(funnel).encode()
        self._like = self._like or text
        packer = zlib.compressobj(level=1, zdict=self._like)
        return PackedFunnel(packer.compress(text) + packer.flush(), self._like)


def funnel_of(manifest: Manifest) -> Funnel:
    """The funnel of a manifest, slim or not."""
    funnel = manifest["funnel"]
    return funnel_from_json(funnel.unpacked() if isinstance(funnel, PackedFunnel) else funnel)


@dataclass
class Totals:
    """Sums over all commits: the funnel, the histograms of scores, and the curated data set's size and contents."""

    funnel: Funnel
    histograms: Histograms = field(default_factory=dict)
    shards: int = 0
    samples: int = 0
    bytes: int = 0
    contents: dict[str, Counter[str]] = field(default_factory=dict)
    no_verdict: dict[str, dict[str, int]] = field(default_factory=dict)  # by rule and cause
    rule_counts: dict[str, dict[str, int]] = field(default_factory=dict)  # by rule and what is counted
    quarantine_files: list[str] = field(default_factory=list)  # the first MOST_FILES, below the output


def sum_commits(manifests: Iterable[Manifest], plan: Plan) -> Totals:
    """Sum manifests, each held for as long as it is added; in the order of their names where names are too many.

    After MOST_NAMES different names of a kind (domains, say) new ones are counted as OTHER.
    """
    totals = Totals(empty_funnel(plan))
    for manifest in manifests:
        add_to(totals.funnel, funnel_of(manifest))
        if manifest.get("histograms"):
            totals.histograms = add_histograms([totals.histograms, manifest["histograms"]])
        if manifest.get("no_verdict"):
            totals.no_verdict = add_verdictless([totals.no_verdict, manifest["no_verdict"]])
        if manifest.get("rule_counts"):
            totals.rule_counts = add_verdictless([totals.rule_counts, manifest["rule_counts"]])
        files = [part["quarantine"] for part in manifest["inputs"] if part.get("quarantine")]
        totals.quarantine_files += files[: max(0, MOST_FILES - len(totals.quarantine_files))]
        for entry in manifest["outputs"]:
            totals.shards += 1
            totals.samples += entry["samples"]
            totals.bytes += entry["size"]
        for kind, counts in manifest.get("contents", {}).items():
            of_kind = totals.contents.setdefault(kind, Counter())
            for name, count in counts.items():
                of_kind[name if name in of_kind or len(of_kind) < MOST_NAMES else OTHER] += count
    totals.funnel.quarantine = dict(sorted(totals.funnel.quarantine.items()))
    return totals
