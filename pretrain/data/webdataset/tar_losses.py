"""Counts what damaged tars have cost an epoch: the samples that the plan expects of a tar and that did not come."""

from __future__ import annotations

from collections.abc import Mapping

from pretrain.data.samples.preparation import BadSamples


class TarLosses:
    """Takes note of faults while tars are read, and counts the loss once it is known how many samples came.

    `expected`: samples of each tar, by URI, as the plan counts them. A damaged tar of which all came has cost one: the
    plan then counted up to the damage.
    """

    def __init__(self, bad_samples: BadSamples, expected: Mapping[str, int]) -> None:
        self.bad_samples, self.expected = bad_samples, expected
        self.reading = ""
        """URI of the tar that is being read."""
        self._faults: dict[str, Exception] = {}

    def note(self, error: Exception) -> bool:
        """Take note of a fault of the tar that is being read; True tells webdataset to continue with the next one."""
        self._faults.setdefault(self.reading, error)
        return True

    def is_damaged(self, uri: str) -> bool:
        """Whether a fault of the tar was noted that is not counted yet."""
        return uri in self._faults

    def settle(self, uri: str, came: int) -> None:
        """Count the loss of a tar of which `came` samples were read; nothing when it has no fault.

        Raises InputError when too many samples are lost, see `BadSamples.add`.
        """
        error = self._faults.pop(uri, None)
        if error is not None:
            lost = max(1, self.expected[uri] - came)
            self.bad_samples.saw(lost)
            self.bad_samples.add(f"{lost} of {self.expected[uri]} samples of {uri}", error, lost)

    def settle_without_samples(self, but: str | None = None) -> None:
        """Count the losses of all tars with a fault of which no sample came: all but `but`, which is being read."""
        for uri in [uri for uri in self._faults if uri != but]:
            self.settle(uri, 0)
