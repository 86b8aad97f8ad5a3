"""A second run into an output is refused in one line while the first works there, and harms nothing."""

import os
import subprocess
import sys

import pytest
from raw_shards import pairs, write_tar

from data_filters.errors import InputError
from pipelines.common.ownership import owned
from pipelines.curate.config import CurateConfig
from pipelines.curate.run import curate
from pipelines.phrases.run import phrases_pass


@pytest.fixture
def first(tmp_path):
    """A process that owns tmp_path/out, where it has written a file."""
    write_tar(tmp_path / "in" / "00000.tar", pairs(4))
    program = (
        "import sys; from pathlib import Path; from pipelines.common.ownership import owned\n"
        "with owned(sys.argv[1]):\n"
        "    (Path(sys.argv[1]) / '.00000.tar.1.partial').write_text('half'); print(1, flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "out")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.stdin.close()


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".owner.json"}


@pytest.mark.parametrize(
    "words", [("curate", "icon_world", "--set", "workers=1"), ("phrases",)], ids=["curate", "phrases"]
)
def test_the_command_ends_before_it_loads_ray(tmp_path, first, words):
    before = files(tmp_path / "out")
    words = [*words, "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    done = subprocess.Popen([sys.executable, "-m", "cluster.cli", *words], stderr=subprocess.PIPE, text=True)
    line = done.stderr.read()
    _, status, usage = os.wait4(done.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 2, line
    assert line.startswith(f"loupe: output {tmp_path}/out is in use by process {first.pid} on ")
    assert line.count("\n") == 1
    assert usage.ru_utime + usage.ru_stime < 5
    assert files(tmp_path / "out") == before


def test_python_is_refused_too_and_a_dry_run_is_not(tmp_path, first):
    config = CurateConfig(workers=1)
    with pytest.raises(InputError, match=f"in use by process {first.pid}"):
        curate(config, str(tmp_path / "in"), str(tmp_path / "out"))
    with pytest.raises(InputError, match=f"in use by process {first.pid}"):
        phrases_pass(tmp_path / "in", tmp_path / "out")
    with pytest.raises(InputError, match="does not exist"):  # it comes as far as looking at its input
        curate(config, str(tmp_path / "nowhere"), str(tmp_path / "out"), dry_run=True)


def test_a_refused_recipe_or_input_leaves_no_lock_behind(tmp_path):
    for output in ("new", "deep/new"):
        with pytest.raises(InputError, match="nowhere"):
            curate(CurateConfig(), str(tmp_path / "nowhere"), str(tmp_path / output))
    assert list(tmp_path.iterdir()) == []
    with owned(str(tmp_path / "new")):
        pass
