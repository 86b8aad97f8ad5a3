"""The unit of work and of commit: one shard."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """A shard to work on: `name` without `.tar`, `size` in bytes."""

    name: str
    uri: str
    size: int

    @property
    def shard(self) -> str:
        """The shard's file name, which curated samples name as their source."""
        return f"{self.name}.tar"
