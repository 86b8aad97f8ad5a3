"""CPU seconds and memory of a command and of all processes below it, Ray's among them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LOOKED = 0.1  # seconds between two looks


class Usage:
    """The CPU seconds and the memory of a process and all that it started, looked at several times a second.

    Memory in bytes: the driver's highest resident set, and the highest private memory of a worker.
    """

    def __init__(self, root: int) -> None:
        self.root = root
        self.cpu: dict[int, float] = {}
        self.names: dict[int, str] = {}
        self.driver = self.worker = 0
        self._parents: dict[int, int] = {}

    def look(self) -> None:
        """Take the figures of all processes that live."""
        mine = {self.root}
        stats = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                    stats[int(name)] = (int(fields[1]), sum(map(int, fields[11:13])))
        for pid, (parent, _) in stats.items():
            self._parents.setdefault(pid, parent)  # Ray's processes outlive the one that started them
        for pid in sorted(stats):
            above: int | None = pid
            while above is not None and above != self.root:
                above = self._parents.get(above)
            if above == self.root:
                mine.add(pid)
        for pid in mine & stats.keys():
            with contextlib.suppress(OSError):
                if name := Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].decode():
                    self.names[pid] = (
                        "driver" if pid == self.root else name.rpartition("/")[2].partition("(")[0]
                    )
            self.cpu[pid] = stats[pid][1] / os.sysconf("SC_CLK_TCK")
            with contextlib.suppress(OSError, IndexError):  # it has ended, and may be a zombie
                self._look_at_memory(pid)

    def _look_at_memory(self, pid: int) -> None:
        if pid == self.root:
            status = Path(f"/proc/{pid}/status").read_text()
            self.driver = max(self.driver, 1024 * int(status.partition("VmHWM:")[2].split()[0]))
        elif Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::"):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            private = sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
            self.worker = max(self.worker, 1024 * private)


def run_watched(
    command: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None
) -> tuple[Usage, str, int]:
    """Run a command to its end: what it used, what it wrote to standard output, its exit code."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        with subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **environment}, stdout=said, stderr=complained, text=True
        ) as process:
            usage = Usage(process.pid)
            while process.poll() is None:
                usage.look()
                time.sleep(LOOKED)
        said.seek(0)
        complained.seek(0)
        if process.returncode:
            print(complained.read()[-4000:], flush=True)
        return usage, said.read(), process.returncode
