"""`loupe curate` killed at random moments: the same command again gives the bytes of an undisturbed run."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from raw_shards import pairs, write_tar

pytestmark = [pytest.mark.long, pytest.mark.ray]

LONGEST = 12.0  # seconds after the start within which a kill falls; an undisturbed run takes about as long
ENDS = 120.0  # seconds that a run may take


def start(raw: Path, output: Path, recipe: Path) -> subprocess.Popen[str]:
    """The command in a session of its own, whose group can be killed as a whole."""
    command = [
        sys.executable,
        "-m",
        "cluster.cli",
        "curate",
        str(recipe),
        "--input",
        str(raw),
        "--output",
        str(output),
    ]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes below the command: Ray starts its own in sessions of theirs, so the group does not hold them."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_all(process: subprocess.Popen[str], children: list[psutil.Process]) -> None:
    """End the command, its group and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    process.communicate()


def strike(process: subprocess.Popen[str], target: str) -> None:
    """Kill the driver, or only a process of Ray's: the raylet or the workers, whichever there are."""
    children = family(process)
    if target == "driver":
        kill_all(process, children)
        return
    for child in children:
        try:
            if target in " ".join(child.cmdline()):
                child.kill()
        except psutil.NoSuchProcess:
            continue
    try:
        process.communicate(timeout=ENDS)
    except subprocess.TimeoutExpired:
        pytest.fail(f"the run neither went on nor ended within {ENDS:.0f} s after its {target} was killed")
    finally:
        kill_all(process, children)


def committed(output: Path) -> dict[str, bytes]:
    """The bytes of everything that readers may trust, by name."""
    kinds = (
        "*.tar",
        "*.index.parquet",
        "manifests/*",
        "scores/*/*",
        "decisions/*",
        "status/*",
        "quarantine/*",
        "examples/*",
        "report.json",
    )
    return {str(path.relative_to(output)): path.read_bytes() for kind in kinds for path in output.glob(kind)}


def test_the_same_command_again_gives_the_same_bytes(
    tmp_path: Path, repetitions: Callable[[int], int]
) -> None:
    raw, recipe = tmp_path / "raw", tmp_path / "recipe.yaml"
    recipe.write_text("min_side: 64\nworkers: 2\nmax_bad_fraction: 0.5\n")
    for shard in range(6):
        members = pairs(40, prefix=f"s{shard}_")
        members[f"s{shard}_bad.jpg"] = b"no picture"
        members[f"s{shard}_bad.txt"] = "a caption without a picture"
        write_tar(raw / f"{shard}.tar", members)
    output = tmp_path / "out"
    began = time.monotonic()
    whole = start(raw, output, recipe)
    text, _ = whole.communicate(timeout=ENDS)
    took = time.monotonic() - began
    assert whole.returncode == 0, text
    expected = committed(output)
    assert sum(name.endswith(".tar") for name in expected) == 6

    targets = ["driver", "raylet", "driver", "driver", "ray::", *["driver"] * 4, "raylet", *["driver"] * 5]
    for seed in range(repetitions(15)):
        output.rename(tmp_path / f"done{seed}")
        target = targets[seed % len(targets)]
        wait = random.Random(seed).uniform(0.1, 1.0) * min(took, LONGEST)
        process = start(raw, output, recipe)
        time.sleep(wait)
        strike(process, target)
        again = start(raw, output, recipe)
        try:
            text, _ = again.communicate(timeout=ENDS)
        finally:
            kill_all(again, family(again))
        place = f"seed {seed}: {target} killed after {wait:.2f} s"
        assert again.returncode == 0, f"{place}\n{text}"
        found = committed(output)
        assert found == expected, (
            f"{place}: {[name for name in expected if found.get(name) != expected[name]]}"
        )
        assert not list(output.rglob("*.partial")), place
