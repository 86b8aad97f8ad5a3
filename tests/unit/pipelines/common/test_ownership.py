"""`owned` around real processes: what the refused one is told, and every way in which a folder is given back."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from data_filters.errors import InputError
from pipelines.common.lock_file import NAME, Owner, Patience
from pipelines.common.ownership import command_line, owned
from pipelines.common.processes import this_process

HOLD = """
import os, sys, time
from pipelines.common.ownership import owned
try:
    with owned(sys.argv[1]):
        print("own", flush=True)
        line = sys.stdin.readline()
        if line == "fail": raise RuntimeError
        if line == "exit": sys.exit(3)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def child(tmp_path):
    """A process that owns tmp_path/out/run."""
    words = [sys.executable, "-c", HOLD, str(tmp_path / "out" / "run")]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout.readline() == "own\n", process.stderr.read()
        yield process
        process.kill()


def test_the_refused_one_is_told_whom_to_wait_for(tmp_path, child):
    folder = tmp_path / "out" / "run"
    with pytest.raises(InputError) as refused, owned(str(folder)):
        pass
    line = str(refused.value)
    started = json.loads((folder / NAME).read_bytes())["started"]
    assert line.startswith(f"output {folder} is in use by process {child.pid} on ")
    assert f"since {started}" in line
    assert "\n" not in line
    assert (folder / NAME).exists()


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("done", 0),
        ("fail", 1),
        ("exit", 3),
        (signal.SIGINT, 130),
        (signal.SIGTERM, -signal.SIGTERM),
    ],
)
def test_the_folder_is_given_back_at_every_end(tmp_path, child, end, code):
    if isinstance(end, str):
        child.stdin.write(end)
        child.stdin.close()
        child.stdin = None
    else:
        child.send_signal(end)
    assert child.wait(10) == code
    assert not (tmp_path / "out" / "run" / NAME).exists()
    with owned(str(tmp_path / "out" / "run")):
        pass


def test_folders_that_stay_empty_are_removed_and_others_are_not(tmp_path):
    with owned(str(tmp_path / "a" / "b")):
        pass
    assert list(tmp_path.iterdir()) == []
    with owned(str(tmp_path / "a" / "b")):
        (tmp_path / "a" / "b" / "result").write_text("1")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["result"]
    (tmp_path / "empty").mkdir()
    with owned(str(tmp_path / "empty")):
        pass
    assert (tmp_path / "empty").is_dir()  # it was there before


def test_nested_in_one_thread_it_is_one_lock_and_another_thread_is_another_start(tmp_path):
    refused = []

    def other() -> None:
        try:
            with owned(str(tmp_path)):
                pass
        except InputError as error:
            refused.append(str(error))

    (tmp_path / "link").symlink_to(tmp_path)
    with owned(str(tmp_path)):
        same = (f"{tmp_path}/../{tmp_path.name}/", f"file://{tmp_path}", str(tmp_path / "link"))
        for name in same:
            with owned(name):
                pass
        assert (tmp_path / NAME).exists()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert f"process {os.getpid()} " in refused[0]
    assert not (tmp_path / NAME).exists()


def test_a_forked_child_owns_nothing(tmp_path):
    with owned(str(tmp_path)):
        child = os.fork()
        if child == 0:
            try:
                with owned(str(tmp_path)):
                    os._exit(1)
            except InputError:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert (tmp_path / NAME).exists()


def test_the_lock_is_renewed_while_the_folder_is_owned(tmp_path):
    with owned(str(tmp_path), patience=Patience(renewal=0.02)):
        ended = time.monotonic() + 10
        while json.loads((tmp_path / NAME).read_bytes())["renewals"] < f"{3:012d}":
            assert time.monotonic() < ended
            time.sleep(0.01)


def test_a_process_whose_folder_was_taken_over_stops(tmp_path):
    far = Owner(replace(this_process(), host="far", place="another"), "loupe pretrain", "2026-01-01", "far")

    def work() -> None:
        with owned(str(tmp_path), patience=Patience(renewal=0.02)):
            (tmp_path / "new").write_bytes(far.text())
            os.replace(tmp_path / "new", tmp_path / NAME)
            time.sleep(30)

    before = time.monotonic()
    with pytest.raises(RuntimeError, match=r"taken over by process .* on far"):
        work()
    assert time.monotonic() - before < 5
    assert json.loads((tmp_path / NAME).read_bytes())["id"] == "far"


def test_an_object_store_has_no_owner():
    with owned("memory://bucket/out"), owned("memory://bucket/out"):
        pass


def test_a_folder_that_cannot_be_made_or_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for output, says in (
        (tmp_path / "file", "file is a file; give a folder"),
        (tmp_path / "file" / "run", f"cannot be made, since {tmp_path}/file is a file"),
        (tmp_path / "dangling", "is a link that leads nowhere"),
        ("a\0b", "is no path"),
        (tmp_path / ("n" * 300), "File name too long"),
    ):
        with pytest.raises(InputError, match=says) as refused, owned(str(output)):
            pass
        assert "\n" not in str(refused.value)


def test_a_folder_without_permission_is_one_line(tmp_path):
    program = (
        "import os, sys\nfrom data_filters.errors import InputError\nfrom pipelines.common.ownership import owned\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try:\n    with owned(sys.argv[1]): pass\n"
        "except InputError as error: print(error); sys.exit(2)"
    )
    (tmp_path / "locked").mkdir()
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # pytest closes its folders to other users
    (tmp_path / "locked").chmod(0o555)
    for output in ("locked", "locked/run"):
        words = [sys.executable, "-c", program, str(tmp_path / output)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (2, "")
        assert done.stdout.count("\n") == 1
        assert "may not be written" in done.stdout


def test_the_command_is_told_as_it_was_typed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/venv/bin/loupe", "curate", "icon_world"])
    assert command_line() == "loupe curate icon_world"
    monkeypatch.setattr(sys, "argv", [str(Path("cluster/cli/__main__.py")), "curate"])
    assert command_line() == "loupe curate"
