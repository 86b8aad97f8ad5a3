"""What a training step knows of itself: its number and its random stream."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class StepContext:
    """One optimiser step on one rank.

    `step` counts the optimiser steps done before this one, over all starts of the run. `generator` is a CPU generator
    whose seed follows from (run seed, step, rank), so that resuming needs no state of any generator.
    """

    step: int
    generator: torch.Generator

    @classmethod
    def of(cls, run_seed: int, step: int, rank: int) -> StepContext:
        """The context of a step of the run with that seed on that rank."""
        seed = ((run_seed * 1_000_003 + step) * 4099 + rank) * 1009 % 2**62
        return cls(step, torch.Generator().manual_seed(seed))

    @property
    def seed(self) -> int:
        """The seed of the step's stream; known on the host, without a device sync."""
        return self.generator.initial_seed()

    def branch(self, number: int) -> StepContext:
        """The same step with a stream of its own, which `number` chooses: draws of one supplier leave others' alone."""
        return StepContext(self.step, torch.Generator().manual_seed((self.seed + number) % 2**63))
