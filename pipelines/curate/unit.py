"""The unit of work of a curation: one raw shard."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """A raw shard to curate: `name` without `.tar`, `size` in bytes."""

    name: str
    uri: str
    size: int

    @property
    def shard(self) -> str:
        """The shard's file name, which curated samples name as their source."""
        return f"{self.name}.tar"
