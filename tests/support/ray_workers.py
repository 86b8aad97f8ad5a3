"""The training workers of the Ray cluster that these tests started."""

import psutil


def training_workers() -> list[psutil.Process]:
    """Ray Train's worker processes under this process; other Rays on the machine are left alone."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if any("RayTrainWorker" in part for part in process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found
