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
from pipelines.curate.plan import Plan
from pipelines.shards.manifest import Manifest

NOT_KEPT = ("contents", "histograms", "history", "renamed", "rules")
MOST_NAMES = 100_000  # licences or domains of a data set that are counted by name
OTHER = "(other)"


class Slim:
    """Makes of a manifest what a run needs of a commit; equal configurations become one object.

    The funnel becomes bytes, which `funnel_of` reads. NOT_KEPT is left out.
    """

    def __init__(self) -> None:
        self._configs: dict[str, Any] = {}

    def __call__(self, manifest: Manifest) -> Manifest:
        kept = {key: value for key, value in manifest.items() if key not in NOT_KEPT}
        kept["config"] = self._configs.setdefault(str(manifest["config_hash"]), manifest.get("config"))
        kept["config_hash"] = self._configs.setdefault(
            "=" + str(manifest["config_hash"]), manifest["config_hash"]
        )
        kept["funnel"] = zlib.compress(json.dumps(manifest["funnel"]).encode(), 1)
        return kept


def funnel_of(manifest: Manifest) -> Funnel:
    """The funnel of a manifest, slim or not."""
    funnel = manifest["funnel"]
    return funnel_from_json(json.loads(zlib.decompress(funnel)) if isinstance(funnel, bytes) else funnel)


@dataclass
class Totals:
    """Sums over all commits: the funnel, the histograms of scores, and the curated data set's size and contents."""

    funnel: Funnel
    histograms: Histograms = field(default_factory=dict)
    shards: int = 0
    samples: int = 0
    bytes: int = 0
    contents: dict[str, Counter[str]] = field(default_factory=dict)


def sum_commits(manifests: Iterable[Manifest], plan: Plan) -> Totals:
    """Sum manifests, each held for as long as it is added; in the order of their names where names are too many.

    After MOST_NAMES different names of a kind (domains, say) new ones are counted as OTHER.
    """
    totals = Totals(empty_funnel(plan))
    for manifest in manifests:
        add_to(totals.funnel, funnel_of(manifest))
        if manifest.get("histograms"):
            totals.histograms = add_histograms([totals.histograms, manifest["histograms"]])
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
