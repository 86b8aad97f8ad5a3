"""The threads of torch's process groups in this process."""

from pathlib import Path


def gloo_threads() -> list[str]:
    """Names of the threads that gloo started in this process; they are C++ threads, which Python does not list."""
    names = [task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    return sorted(name for name in names if "gloo" in name)
