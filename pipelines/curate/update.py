"""Whether an output of another configuration may be brought to this one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from data_filters.errors import InputError
from pipelines.common.config import differences, hash_of
from pipelines.shards.manifest import Manifest, check_same_settings

FIXED = ("shard_size",)
"""Settings that stay those with which the output was begun."""
FORMAT = 2
"""Of a manifest's `format`: raised when older outputs cannot be brought up to date."""


# Any: what JSON holds.
def changed_settings(
    output: str, manifests: Mapping[str, Manifest], settings: Mapping[str, Any], update: bool
) -> bool:
    """Whether some commit is of another configuration.

    Raises InputError for one without `update`, and where no update can be made: from another version of this program,
    or to another `shard_size`.
    """
    mine = hash_of(settings)
    others = [manifest for manifest in manifests.values() if manifest["config_hash"] != mine]
    if not update:
        check_same_settings(output, manifests, settings, "or bring it to this recipe with --update")
    old = [name for name, manifest in manifests.items() if manifest.get("format") != FORMAT]
    if old:
        raise InputError(
            f"output {output} was written by another version of loupe ({old[0]}.json has format "
            f"{manifests[old[0]].get('format')}, this version writes {FORMAT}); choose another output "
            f"folder, and give --scores {output} where its scores are to be taken over"
        )
    for manifest in others:
        for change in differences(manifest.get("config", {}), settings):
            if change.key.split(".")[0] in FIXED:
                theirs, here = ("null" if value is None else value for value in (change.theirs, change.mine))
                raise InputError(
                    f"output {output} was begun with {change.key} {theirs}, this run has {here}; an "
                    f"update keeps it: set {change.key}={theirs}, or choose another output folder"
                )
    return bool(others)


def check_withdrawn(
    output: str, manifests: Mapping[str, Manifest], withdrawn: Collection[str], mine: str
) -> None:
    """Raise InputError when a commit of another configuration than `mine` has no raw shard left to be brought to it."""
    gone = set(withdrawn)
    for name, manifest in manifests.items():
        names = [part["name"] for part in manifest["inputs"]]
        if manifest["config_hash"] != mine and gone.issuperset(names):
            raise InputError(
                f"output {output} holds {name}.json of config {manifest['config_hash']}, whose raw shards the input "
                "has no more, so that it cannot be brought to this recipe; remove it with --drop-withdrawn, or give "
                "its raw shards"
            )
