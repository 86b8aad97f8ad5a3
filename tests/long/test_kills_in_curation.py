"""`loupe curate` killed in each of its phases (A, B, L, B again, C): the same command again gives the bytes of an
undisturbed run.

What was committed when a process was killed is never written again.
"""

import contextlib
import json
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
from raw_shards import CAPTION, picture, write_tar

pytestmark = [pytest.mark.long, pytest.mark.ray]

SHARDS = 12
ENDS = 400.0  # seconds that a run may take
# While less_near decides, the drops of near_image lie there, by which the second decision is told.
RECIPE = """\
min_side: 64
workers: 2
max_bad_fraction: 0.5
decide: {engine: ENGINE}
rules:
  same_image: {kind: duplicates, of: image, keep: first}
  same_caption: {kind: duplicates, of: caption, keep: first}
  rare: {kind: rare_ngrams, most_frequent: 15}
  near_image: {kind: near_images, max_distance: 20, min_quality: 0}
  less_near: {kind: near_images, max_distance: 28, min_quality: 0}
"""
DRIVER, WORKER, RAYLET = "driver", "ray::", "raylet"
STRIKES = [
    ("scan", DRIVER),
    ("scan", WORKER),
    ("scan", RAYLET),
    ("decide", DRIVER),
    ("decide", RAYLET),
    ("decide", WORKER),
    ("look", DRIVER),
    ("look", WORKER),
    ("look", RAYLET),
    ("decide again", DRIVER),
    ("write", DRIVER),
    ("write", WORKER),
    ("write", RAYLET),
    ("write", DRIVER),
]
FEW = [("scan", DRIVER), ("decide", DRIVER), ("look", DRIVER), ("write", DRIVER)]
IN_PROCESS = [strike for strike in STRIKES if not strike[0].startswith("decide")] + [("decide", DRIVER)]
PHASES = ("scan", "decide", "look", "decide again", "write")


def start(raw: Path, output: Path, recipe: Path) -> subprocess.Popen[str]:
    """The command in a session of its own, whose group can be killed as a whole; what it says goes into a file."""
    command = [sys.executable, "-m", "cluster.cli", "curate", str(recipe)]
    command += ["--input", str(raw), "--output", str(output)]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with (output.parent / "said.txt").open("a") as said:
        return subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
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
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()


def strike(process: subprocess.Popen[str], target: str) -> int:
    """Kill the driver with all below it, or only processes of Ray's; returns how many were killed."""
    children = family(process)
    if target == DRIVER:
        kill_all(process, children)
        return 1
    killed = 0
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            # A worker that waits for work has the name `ray::IDLE`.
            if target in " ".join(child.cmdline()) and (target == RAYLET or "IDLE" not in child.cmdline()[0]):
                child.kill()
                killed += 1
    return killed


def named(output: Path, pattern: str) -> set[str]:
    return {path.stem for path in matching(output, pattern)}


def matching(output: Path, pattern: str) -> list[Path]:
    """The paths of a pattern; none where the run removes a folder of it meanwhile."""
    try:
        return list(output.glob(pattern))
    except FileNotFoundError:
        return []


def phase_of(output: Path) -> tuple[str, int]:
    """The phase that an output is in, and how many shards are committed in it."""
    if manifests := named(output, "manifests/*.json"):
        return "write", len(manifests)
    if matching(output, "decide/after-look/*/decision.json"):
        return "write", 0
    if matching(output, "decide/after-look/*"):
        return "decide again", 0
    if matching(output, "decide/before-look/*/decision.json"):
        return "look", len(named(output, "scores/pdq/*.parquet"))
    scanned = len(named(output, "scores/facts/*.parquet"))
    return ("decide", 0) if matching(output, "decide/*/*") else ("scan", scanned)


def commits(output: Path) -> dict[Path, tuple[int, int]]:
    """Inode and time of every file that is committed: scores whose facts are there, the rest with a manifest."""
    found = [
        path
        for name in named(output, "scores/facts/*.parquet")
        for kind in ("scores/*", "quarantine")
        for path in matching(output, f"{kind}/{name}.parquet")
    ]
    for name in named(output, "manifests/*.json"):
        for pattern in (f"{name}.tar", f"{name}.index.parquet", f"manifests/{name}.json"):
            found += matching(output, pattern)
        for folder in ("decisions", "status"):
            found += matching(output, f"{folder}/{name}.*")
    found += matching(output, "decide/*/*/decision.json")
    return {path: (stat.st_ino, stat.st_mtime_ns) for path in found for stat in [path.stat()]}


def files(output: Path) -> dict[str, bytes]:
    """The bytes of every file but the page for people (which names the folder) and the lock, by name."""
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in output.rglob("*")
        if path.is_file() and path.name != "report.html" and not path.name.startswith(".")
    }


def raw_shards(raw: Path, each: int) -> None:
    """Shards of pairs of their own, two that other shards have too, a near image, and a sample that cannot be read."""
    for shard in range(SHARDS):
        members = {}
        for number in range(each):
            key = f"s{shard:02}_{number:03}"
            seed = number if number < 2 else 1000 * shard + number
            members[f"{key}.jpg"] = picture(200, 160, seed=seed)
            if number == 4:  # one picture, in other bytes
                members[f"{key}.jpg"] = picture(200, 160, seed=5, quality=70 + shard)
            marks = "." * number + "," * shard  # another text of the same words
            members[f"{key}.txt"] = {2: CAPTION, 3: f"{CAPTION} rare{shard}"}.get(
                number, f"{CAPTION} {marks}"
            )
        members |= {f"s{shard:02}_bad.jpg": b"no picture", f"s{shard:02}_bad.txt": "without a picture"}
        write_tar(raw / f"{shard:02}.tar", members)


def run_to_the_end(process: subprocess.Popen[str], output: Path) -> None:
    try:
        assert process.wait(timeout=ENDS) == 0, (output.parent / "said.txt").read_text()[-3000:]
    finally:
        kill_all(process, family(process))


def killed_again_and_again(
    raw: Path, output: Path, recipe: Path, strikes: list[tuple[str, str]], rng: random.Random
) -> dict[Path, tuple[int, int]]:
    """Run until the end, with each strike in its phase; returns what was committed at any strike."""
    seen: dict[Path, tuple[int, int]] = {}
    process, struck, wanted = start(raw, output, recipe), 0, -1
    deadline = time.monotonic() + ENDS
    while struck < len(strikes):
        phase, target = strikes[struck]
        assert time.monotonic() < deadline, f"strike {struck} in {phase} never came"
        if process.poll() is not None:
            assert process.returncode != 0, f"the run ended before strike {struck} in {phase}"
            kill_all(process, family(process))
            process = start(raw, output, recipe)
        now, count = phase_of(output)
        assert PHASES.index(now) <= PHASES.index(phase), struck
        if now != phase:
            time.sleep(0.002)
            continue
        if wanted < 0:  # a random number of commits further on
            left = sum(one == phase for one, _ in strikes[struck:])
            decides = phase.startswith("decide")
            wanted = 0 if decides else count + rng.randint(1, max(1, (SHARDS - 1 - count) // left))
            if decides:
                time.sleep(rng.uniform(0, 0.5) if "ray" in recipe.read_text() else 0)
                continue
        if count < wanted or not strike(process, target):
            time.sleep(0.002)
            continue
        if target == DRIVER:
            assert phase_of(output)[0] == phase
        seen.update(commits(output))
        struck, wanted, deadline = struck + 1, -1, time.monotonic() + ENDS
    try:
        process.wait(timeout=ENDS)
    finally:
        kill_all(process, family(process))
    for _ in range(3):
        if process.returncode == 0:
            break
        process = start(raw, output, recipe)
        try:
            process.wait(timeout=ENDS)
        finally:
            kill_all(process, family(process))
    assert process.returncode == 0, (output.parent / "said.txt").read_text()[-3000:]
    return seen


@pytest.mark.parametrize("engine", ["ray", "in_process"])
def test_a_run_killed_in_each_phase_ends_as_an_undisturbed_one(
    tmp_path: Path, repetitions: Callable[[int], int], engine: str
) -> None:
    is_long = repetitions(10) > 1
    if not is_long and engine == "in_process":
        pytest.skip("the short test kills a run on Ray's engine alone; --long kills both")
    raw, recipe = tmp_path / "raw", tmp_path / "recipe.yaml"
    each = 60 if is_long else 12
    recipe.write_text(RECIPE.replace("ENGINE", engine))
    raw_shards(raw, each)
    whole, output = tmp_path / "whole" / "out", tmp_path / "killed" / "out"
    whole.parent.mkdir()
    output.parent.mkdir()
    run_to_the_end(start(raw, whole, recipe), whole)
    expected = files(whole)
    assert sum(name.endswith(".tar") for name in expected) == SHARDS
    rejected = json.loads(expected["report.json"])["funnel"]["filters"]
    assert all(
        one["rejected_in_order"]
        for one in rejected
        if one["name"] in ("same_image", "same_caption", "rare", "near_image")
    )

    strikes = (STRIKES if engine == "ray" else IN_PROCESS) if is_long else FEW
    strikes = sorted(strikes, key=lambda one: PHASES.index(one[0]))
    seen = killed_again_and_again(raw, output, recipe, strikes, random.Random(engine))
    found = files(output)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    after = {
        path: (stat.st_ino, stat.st_mtime_ns) for path in seen if path.exists() for stat in [path.stat()]
    }
    again = [str(path.relative_to(output)) for path in seen if "decide" not in path.parts]
    again = [name for name in again if after.get(output / name) != seen[output / name]]
    assert again == [], "written again after their commit"
