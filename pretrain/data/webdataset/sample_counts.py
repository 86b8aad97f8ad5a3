"""Compares the numbers of samples that files beside remote tars name with what the tars hold, once they are read."""

from __future__ import annotations

import logging

from data_filters.errors import InputError

logger = logging.getLogger(__name__)


class SampleCounts:
    """Adds up by how many samples remote tars differ from what the length of an epoch was made of."""

    def __init__(self, max_fraction: float) -> None:
        self.max_fraction = max_fraction
        self._wrong: dict[str, int] = {}
        self._held: dict[str, int] = {}

    def compare(self, uri: str, expected: int, held: int) -> None:
        """Take note of a tar that was read whole; a difference is logged when the tar is read for the first time.

        Raises InputError when the differences are more than ten and more than `max_fraction` of all samples so far.
        """
        first_time = uri not in self._held
        self._held[uri], self._wrong[uri] = held, abs(expected - held)
        if expected == held:
            return
        named = f"{uri} holds {held} samples, {uri.removesuffix('.tar')}_stats.json beside it says {expected}"
        wrong, total = sum(self._wrong.values()), sum(self._held.values())
        if wrong > max(10, self.max_fraction * total):
            raise InputError(
                f"{named}; the length of an epoch follows from such files, which are wrong by {wrong} samples in "
                f"{total}, allowed is data.max_bad_fraction = {self.max_fraction}; delete or mend them, and start "
                "again with --accept-changed-data or in another output folder"
            )
        if first_time:
            logger.warning("%s", named)
