"""An output that cannot be written: the cause and the path are said, nothing is lost, the run goes on later."""

import subprocess

import pytest
from raw_shards import picture, write_tar

from data_filters.errors import InputError
from pipelines.common.causes import explain
from pipelines.curate.config import CurateConfig
from pipelines.curate.run import curate

pytestmark = pytest.mark.ray

CONFIG = CurateConfig(min_side=64, workers=1)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB, and a function that mounts it again with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot mount a file system here (needs root): {done.stderr.strip()}")

    mount("size=256k")
    yield folder, mount
    subprocess.run(["umount", str(folder)], check=False, capture_output=True)


def test_full_then_read_only_then_large_enough(small_disk, tmp_path, ray_cluster):
    folder, mount = small_disk
    for name in "01":
        members = {}
        for number in range(10):
            members[f"s{name}_{number}.png"] = picture(200, 200, number, format="PNG")
            members[f"s{name}_{number}.txt"] = "a red dog beside a blue cat"
        write_tar(tmp_path / "in" / f"{name}.tar", members)
    output = folder / "out"

    with pytest.raises(RuntimeError) as full:
        curate(CONFIG, str(tmp_path / "in"), str(output))
    line = explain(full.value)
    assert line.startswith(f"No space left on device: {output}/")
    assert line.endswith("; free some space and run again: what is finished stays")
    assert not list(output.rglob("*.partial"))

    mount("remount,ro,size=256k")
    with pytest.raises(InputError, match=f"^output {output} may not be written .*read-only file system"):
        curate(CONFIG, str(tmp_path / "in"), str(output))

    mount("remount,rw,size=8m")
    assert curate(CONFIG, str(tmp_path / "in"), str(output)).kept == 20
