"""A stream that says that it has ended to readers that do not look."""

from __future__ import annotations

from typing import IO

MAX_READS_AT_END = 1000


class FiniteStream:
    """Passes reads on to a binary file; raises OSError when its end has been read many times over.

    The standard library's tar reader passes over a member in reads of 10 kB without asking whether there are any bytes
    left: a damaged header that names a size of 2**88 bytes would keep it busy for ever.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.at_end = 0

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, all that are left when it is negative."""
        data = self.file.read(size)
        if not data and size:
            self.at_end += 1
            if self.at_end > MAX_READS_AT_END:
                raise OSError("a header names more bytes than the tar has")
        return data

    def close(self) -> None:
        """Close the file."""
        self.file.close()
