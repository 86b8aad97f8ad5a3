"""A pair whose image is decoded on demand, once for each size that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_filters.decode import decode
from data_filters.facts import Facts

if TYPE_CHECKING:
    from PIL.Image import Image


class Picture:
    """The facts of a pair, with `data`, and its pixels."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._decoded: dict[int, Image] = {}

    def decoded(self, at_least: int) -> Image:
        """The upright image in RGB, its shorter side at least so many pixels where it has them; 0: the whole image.

        Raises BrokenSample when it does not decode.
        """
        if at_least not in self._decoded:
            self._decoded[at_least] = decode(self.facts.data, at_least=at_least)
        return self._decoded[at_least]
