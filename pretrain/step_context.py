"""The context of a training step: its number and its random stream."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class StepContext:
    """One optimiser step on one rank.

    `step` is the number of optimiser steps done before this one, over all starts of the run. `generator` is a CPU
    generator whose seed is computed from (run seed, step, rank), so resuming needs no saved generator state.
    """

    step: int
    generator: torch.Generator
    shared_seed: int = 0
    """Seed computed from (run seed, step) alone, for draws that all ranks share."""

    @classmethod
    def of(cls, run_seed: int, step: int, rank: int) -> StepContext:
        """Make the context of `step` on `rank` for a run with seed `run_seed`."""
        shared = (run_seed * 1_000_003 + step) * 4099
        seed = (shared + rank) * 1009 % 2**62
        return cls(step, torch.Generator().manual_seed(seed), shared * 1009 % 2**62)

    @property
    def seed(self) -> int:
        """Seed of the step's random stream; reading it needs no synchronisation with the device."""
        return self.generator.initial_seed()

    def branch(self, number: int) -> StepContext:
        """Return the same step with random stream `number`, so draws of one supplier do not change those of another."""
        generator = torch.Generator().manual_seed((self.seed + number) % 2**63)
        return StepContext(self.step, generator, self.shared_seed)
