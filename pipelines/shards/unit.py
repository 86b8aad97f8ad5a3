"""The unit of work and of commit: one shard."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A shard to work on: `name` without `.tar`, `size` in bytes."""

    name: str
    uri: str
    size: int

    @property
    def shard(self) -> str:
        """The shard's file name, which curated samples name as their source."""
        return f"{self.name}.tar"


@dataclass(frozen=True, slots=True)
class JoinedUnit(Unit):
    """Several shards that are worked on as one; `uri` is that of the first."""

    parts: tuple[Unit, ...] = ()
