"""Compares a wheel with the packages in the repository: every file of a package must be in it.

python .ci/wheel_files.py build/wheel-check/loupe-*.whl
"""

from __future__ import annotations

import subprocess
import sys
import zipfile

PACKAGES = ("data_filters", "pipelines", "pretrain", "cluster")


def main() -> None:
    """Exit with a message that names the tracked files of the packages that the wheel lacks."""
    command = ["git", "ls-files", "-z", "--", *PACKAGES]
    tracked = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        packed = set(wheel.namelist())
    missing = sorted(name for name in tracked if name and name not in packed)
    if missing:
        sys.exit(f"the wheel lacks {', '.join(missing)}; extend package-data in pyproject.toml")
    print(f"the wheel holds all {len(tracked) - 1} files of {', '.join(PACKAGES)}")


if __name__ == "__main__":
    main()
