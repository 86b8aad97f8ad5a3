"""The committed shards of one dataset or several, whose samples can each be read alone."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from data_filters.errors import InputError
from data_filters.sample import Sample, sample_from_members
from pipelines.common.files import filesystem
from pipelines.common.paths import require_local
from pipelines.shards.manifest import CommittedShard, committed_shards
from pipelines.shards.patterns import is_pattern, matches
from pipelines.shards.reader import iterate
from pretrain.data.bounded_cache import BoundedCache
from pretrain.data.no_samples import why_not_committed
from pretrain.data.order.mixture import BLOCK, MixedOrder, shares_of
from pretrain.data.order.sample_order import Order, SampleOrder
from pretrain.data.samples.phrases import phrase_spans
from pretrain.data.shards.cache import Remote, ShardCache
from pretrain.data.shards.index import ShardIndex, load_index, read_sample

GIB = 2**30
OPEN_INDEXES = 64  # shards whose index is in memory


@dataclass(frozen=True)
class FoundShard:
    """A shard to read from. `sha256` and `size` (bytes) are those of its manifest; without a manifest "" and None."""

    uri: str
    samples: int
    sha256: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Dataset:
    """Committed shards below one URI, and its weight in a mixture."""

    uri: str
    weight: float | None
    shards: tuple[CommittedShard, ...]

    @property
    def samples(self) -> int:
        """Samples in all shards."""
        return sum(shard.samples for shard in self.shards)


@dataclass(frozen=True)
class CacheOptions:
    """Bytes and folder of the local copies of remote shards."""

    limit: int = 20 * GIB
    folder: str | None = None

    def open(self) -> ShardCache:
        """The cache in `folder`; without one, in this user's folder below the system's folder for temporary files."""
        default = Path(tempfile.gettempdir()) / f"loupe-shards-{os.getuid()}"
        return ShardCache(
            Path(require_local("data.cache_folder", self.folder)) if self.folder else default, self.limit
        )


@dataclass(frozen=True)
class ShardSource:
    """The committed shards of all datasets, numbered consecutively."""

    datasets: tuple[Dataset, ...]
    cache_options: CacheOptions = field(default=CacheOptions())
    _indexes: BoundedCache[int, ShardIndex] = field(
        default_factory=lambda: BoundedCache(OPEN_INDEXES), init=False, repr=False, compare=False
    )
    _paths: dict[int, Path | str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def uri(self) -> str:
        """The URIs of all datasets, for messages."""
        return ", ".join(dataset.uri for dataset in self.datasets)

    @cached_property
    def shards(self) -> tuple[CommittedShard, ...]:
        """All shards, dataset after dataset."""
        return tuple(shard for dataset in self.datasets for shard in dataset.shards)

    @cached_property
    def shard_sizes(self) -> tuple[int, ...]:
        """Samples in each shard."""
        return tuple(shard.samples for shard in self.shards)

    def order(self, seed: int, window: int) -> Order:
        """Each sample once per epoch; by weight where the datasets have weights."""
        if self.datasets[0].weight is None:
            return SampleOrder(self.shard_sizes, seed, window)
        orders = tuple(
            SampleOrder(tuple(shard.samples for shard in dataset.shards), seed + number, window)
            for number, dataset in enumerate(self.datasets)
        )
        return MixedOrder(orders, shares_of([dataset.weight or 0 for dataset in self.datasets]), seed)

    def found(self) -> list[FoundShard]:
        """Every shard, in the order in which they are numbered."""
        return [FoundShard(shard.uri, shard.samples, shard.sha256, shard.size) for shard in self.shards]

    def shares(self) -> list[int] | None:
        """Of each dataset of a mixture its samples in every block of the order; None without weights."""
        if self.datasets[0].weight is None:
            return None
        return list(shares_of([dataset.weight or 0 for dataset in self.datasets]))

    def remarks(self) -> list[str]:
        """Lines that a user should see before a run: how often each dataset of a mixture is read."""
        shares = self.shares()
        if shares is None:
            return []
        total = sum(dataset.samples for dataset in self.datasets)
        return [
            f"{dataset.uri}: {share / BLOCK:.1%} of every batch, {share / BLOCK * total / dataset.samples:.2f} passes "
            f"over its {dataset.samples} samples per epoch"
            for dataset, share in zip(self.datasets, shares, strict=True)
        ]

    def has_phrases(self, look: int = 64) -> bool:
        """Whether every dataset has phrases among the first `look` samples of its first shard."""
        return all(has_phrases(dataset.shards[0].uri, look) for dataset in self.datasets)

    def read(self, shard: int, row: int) -> Sample:
        """The sample at `row` of a shard. Raises ValueError or OSError when it cannot be read."""
        index = self._indexes.get(shard, self._load_index)
        for _ in range(3):  # another worker of this machine may drop the copy before it is opened
            with suppress(FileNotFoundError):
                return read_sample(self._path(shard), index, row)
            self._paths.pop(shard, None)
        return read_sample(self._path(shard), index, row)

    def expect(self, shards: Sequence[int]) -> None:
        """Announce the shards that are needed next: remote ones are fetched in the background."""
        remotes = [remote for shard in shards if (remote := self._remote(shard))]
        if remotes:
            self._cache.expect(remotes)

    @cached_property
    def _cache(self) -> ShardCache:
        return self.cache_options.open()

    def _path(self, shard: int) -> Path | str:
        """A local file that holds the shard."""
        path = self._paths.get(shard)
        if path is None:
            remote = self._remote(shard)
            path = self._cache.path(remote) if remote else filesystem(self.shards[shard].uri)[1]
            self._paths[shard] = path
        return path

    def _remote(self, shard: int) -> Remote | None:
        committed = self.shards[shard]
        return None if is_local(committed.uri) else Remote(committed.uri, committed.sha256)

    def _load_index(self, shard: int) -> ShardIndex:
        return load_index(self.shards[shard].uri)


def open_source(*data: str, cache: CacheOptions = CacheOptions()) -> ShardSource:
    """Open the shards that the manifests below each `URI` or `URI=WEIGHT` name.

    Without weights every sample of all datasets is read once per epoch. Raises InputError when there is no manifest
    (what is not committed is not trained on), or when only some datasets have a weight.
    """
    weighted_uris = [split_weight(text) for text in data]
    if len({weight is None for _, weight in weighted_uris}) > 1:
        raise InputError(f"data is {', '.join(data)}; give each dataset a weight (URI=WEIGHT), or none")
    datasets = []
    for uri, weight in weighted_uris:
        shards = tuple(shard for shard in committed_shards(uri) if shard.samples)
        if not shards:
            raise InputError(why_not_committed(uri))
        datasets.append(Dataset(uri, weight, shards))
    return ShardSource(tuple(datasets), cache)


def split_weight(text: str) -> tuple[str, float | None]:
    """Split `URI=WEIGHT`; what is after the last `=` is a weight when it is a number and nothing has the whole name.

    So a folder `day=20240101` is read as it is. Raises InputError for a weight that is not finite or not above 0.
    """
    uri, _, tail = text.rpartition("=")
    try:
        weight = float(tail)
    except ValueError:
        return text, None
    if not uri or _exists(text):
        return text, None
    if not 0 < weight < math.inf:
        raise InputError(
            f"data {text!r} has the weight {tail}; allowed are finite numbers above 0; write URI=WEIGHT, such as "
            f"{uri}=1"
        )
    return uri, weight


def _exists(uri: str) -> bool:
    """Whether a path, or a file that a pattern names, exists; False where the storage cannot be asked."""
    try:
        fs, path = filesystem(uri)
        return bool(fs.exists(path) or (is_pattern(path) and matches(fs, path)))
    except (InputError, OSError):
        return False


def has_phrases(uri: str, look: int) -> bool:
    """Whether one of the first `look` samples of a tar carries phrases."""
    with suppress(ValueError, OSError):  # the reader reports damage
        for key, members in islice(iterate(uri), look):
            with suppress(ValueError):
                if phrase_spans(sample_from_members(key, members)):
                    return True
    return False


@lru_cache(maxsize=4096)
def is_local(uri: str) -> bool:
    """Whether a URI names a file of this machine."""
    return isinstance(filesystem(uri)[0], LocalFileSystem)
