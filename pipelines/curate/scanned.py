"""What phase A says of the raw shards of a run, kept as a few numbers for each: there may be a million."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from pipelines.curate.corpus_decision import Shards
from pipelines.curate.funnel import Funnel, add_to, empty_funnel, funnel_from_json
from pipelines.curate.plan import Plan
from pipelines.ray_tasks import Result
from pipelines.shards.manifest import Manifest
from pipelines.shards.unit import Unit

SHA256_BYTES = 32


class Scanned(Mapping[str, int]):
    """The results of phase A, summed as they come; as a mapping the bytes of the kept pairs by raw shard."""

    def __init__(self, units: Sequence[Unit], plan: Plan) -> None:
        self.names = tuple(unit.name for unit in units)
        self.funnel: Funnel = empty_funnel(plan)
        self._places = {name: place for place, name in enumerate(self.names)}
        self._sha256 = bytearray(SHA256_BYTES * len(units))
        self._rows = np.zeros(len(units), np.int64)
        self._kept_bytes = np.zeros(len(units), np.int64)

    def add(self, unit: Unit, result: Result) -> None:
        """Take in the result of `ScanShard`."""
        self._put(unit.name, result["sha256"], result["rows"], result["kept_bytes"])
        add_to(self.funnel, funnel_from_json(result["funnel"]))

    def with_commits(self, units: Sequence[Unit], manifests: Iterable[Manifest], plan: Plan) -> Scanned:
        """The same of all raw shards, those that manifests name among them; the funnel stays that of this scan."""
        whole = Scanned(units, plan)
        whole.funnel = self.funnel
        for place, name in enumerate(self.names):
            whole._put(name, self.sha256(name), int(self._rows[place]), int(self._kept_bytes[place]))
        for manifest in manifests:
            for part in manifest["inputs"]:
                whole._put(part["name"], part["sha256"], part["rows"], 0)
        return whole

    def _put(self, name: str, sha256: str, rows: int, kept_bytes: int) -> None:
        place = self._places[name]
        self._sha256[SHA256_BYTES * place : SHA256_BYTES * (place + 1)] = bytes.fromhex(sha256)
        self._rows[place], self._kept_bytes[place] = rows, kept_bytes

    def shards(self) -> Shards:
        """What rules over the corpus need to know of the raw shards, in their order."""
        return Shards(self.names, bytes(self._sha256), tuple(self._rows.tolist()))

    def sha256(self, name: str) -> str:
        """The sha256 of a raw shard, in hex."""
        place = self._places[name]
        return bytes(self._sha256[SHA256_BYTES * place : SHA256_BYTES * (place + 1)]).hex()

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> int:
        return int(self._kept_bytes[self._places[name]])

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
