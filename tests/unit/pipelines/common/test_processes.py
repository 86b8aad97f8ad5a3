"""Which processes run: this one, one that ended, a zombie, a number that is given again, another host's."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from pipelines.common.processes import runs, this_process

SLEEP = [sys.executable, "-S", "-c", "import time; print(1, flush=True); time.sleep(60)"]


def described(child: subprocess.Popen) -> tuple:
    """A child as it would describe itself: same host, other number and start."""
    text = Path(f"/proc/{child.pid}/stat").read_text()
    return replace(this_process(), pid=child.pid, start=text.rpartition(")")[2].split()[19])


def test_this_process_runs():
    me = this_process()
    assert me.pid == os.getpid()
    assert runs(me) is True


def test_a_number_that_is_given_again_is_another_process():
    assert runs(replace(this_process(), start="1")) is False


def test_a_process_of_another_host_boot_or_container_cannot_be_told():
    assert runs(replace(this_process(), place="another boot 4026531836")) is None
    assert runs(replace(this_process(), place="")) is None


def test_a_process_ends_when_it_is_killed_though_nobody_has_waited_for_it():
    with subprocess.Popen(SLEEP, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        process = described(child)
        assert runs(process) is True
        child.kill()
        ended = time.monotonic() + 10
        while runs(process) and time.monotonic() < ended:
            time.sleep(0.01)
        assert runs(process) is False  # a zombie: Popen has not asked for its exit code
        child.wait()
        assert runs(process) is False


def test_a_name_with_brackets_and_blanks_does_not_shift_the_start(tmp_path):
    program = tmp_path / "a ) 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as child:
        time.sleep(0.05)
        assert runs(described(child)) is True
        child.kill()
