"""The lock of a folder, between real processes: who gets it, who takes it over, and when it is given back."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipelines.common import lock_file
from pipelines.common.lock_file import NAME, Held, LockFile, Lost, Owner, Patience, is_lock
from pipelines.common.processes import this_process

SHORT = Patience(renewal=0.05, silent=0.6, least=0.2, look=0.02)
HOLD = """
import sys, time
from pathlib import Path
from pipelines.common.lock_file import Held, LockFile
time.sleep(max(0, float(sys.argv[2]) - time.time()))
lock = LockFile(Path(sys.argv[1]), "hold")
try:
    lock.acquire()
except Held as held:
    print("held", held.owner.process.pid, flush=True)
    sys.exit(2)
print("own", flush=True)
sys.stdin.readline()
lock.release()
"""


def start(folder: Path, at: float = 0.0) -> subprocess.Popen:
    """A process that acquires the lock at a time, says so, and releases it when it is told to."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(at)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def elsewhere(folder: Path, age: float = 0.0) -> Owner:
    """The lock of a process on another host, last renewed `age` seconds ago."""
    process = replace(this_process(), host="far", place="another boot")
    owner = Owner(process, "loupe curate", "2026-01-01 00:00:00", "0123")
    (folder / NAME).write_bytes(owner.text())
    os.utime(folder / NAME, (time.time() - age,) * 2)
    return owner


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_owner_at_a_time_and_nothing_is_left(tmp_path):
    lock, other = LockFile(tmp_path, "first"), LockFile(tmp_path, "second")
    lock.acquire()
    with pytest.raises(Held) as held:
        other.acquire()
    assert (held.value.owner.command, held.value.owner.process) == ("first", this_process())
    other.release()  # owns nothing, deletes nothing
    assert names(tmp_path) == [NAME]
    assert is_lock(NAME)
    lock.release()
    assert names(tmp_path) == []
    other.acquire()
    other.release()


def test_a_killed_owner_is_succeeded_at_once_and_a_living_one_is_not(tmp_path):
    with start(tmp_path) as child:
        assert child.stdout.readline() == "own\n"
        lock = LockFile(tmp_path, "next")
        with pytest.raises(Held) as held:
            lock.acquire()
        assert held.value.owner.process.pid == child.pid
        child.kill()
        child.wait()
        before = time.monotonic()
        lock.acquire()
        assert time.monotonic() - before < 1
    assert names(tmp_path) == [NAME]
    lock.release()
    assert names(tmp_path) == []


@pytest.mark.parametrize("left", ["a killed owner", "nothing", "a killed taker"])
def test_of_several_starts_at_once_exactly_one_wins(tmp_path, left):
    dead = replace(this_process(), start="1")
    if left != "nothing":
        (tmp_path / NAME).write_bytes(Owner(dead, "old", "", "old").text())
    if left == "a killed taker":
        (tmp_path / ".owner.old.next").write_bytes(Owner(dead, "taker", "", "taker").text())
    at = time.time() + 0.7
    children = [start(tmp_path, at) for _ in range(5)]
    said = [child.stdout.readline().split() for child in children]
    winners = [child for child, words in zip(children, said, strict=True) if words == ["own"]]
    assert len(winners) == 1, said
    assert {tuple(words) for words in said} == {("own",), ("held", str(winners[0].pid))}
    assert names(tmp_path) == [NAME]
    for child in children:
        child.communicate("\n")
    assert names(tmp_path) == []


def test_threads_that_race_for_the_lock_of_a_dead_process(tmp_path):
    """Many more interleavings than processes give in the same time: of each round one wins."""
    for number in range(40):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / NAME).write_bytes(Owner(replace(this_process(), start="1"), "old", "", "old").text())
        locks = [LockFile(folder, str(place)) for place in range(4)]
        won, together = [], threading.Barrier(len(locks))

        def take(lock: LockFile, won=won, together=together) -> None:
            together.wait()
            try:
                lock.acquire()
                won.append(lock)
            except Held:
                pass

        threads = [threading.Thread(target=take, args=(lock,)) for lock in locks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1, f"round {number}"
        won[0].release()
        assert names(folder) == []


def test_an_owner_elsewhere_is_succeeded_after_its_silence(tmp_path):
    told = []
    elsewhere(tmp_path)
    lock = LockFile(
        tmp_path, "next", SHORT, lambda owner, seconds: told.append((owner.process.host, seconds))
    )
    before = time.monotonic()
    lock.acquire()
    assert time.monotonic() - before >= 0.5
    assert told[0][0] == "far"
    assert 0.5 < told[0][1] <= 0.6
    lock.release()


def test_an_old_lock_of_an_owner_elsewhere_is_watched_for_the_least_time(tmp_path):
    elsewhere(tmp_path, age=1000)
    lock = LockFile(tmp_path, "next", SHORT)
    before = time.monotonic()
    lock.acquire()
    assert 0.2 <= time.monotonic() - before < 0.5
    lock.release()


@pytest.mark.parametrize("clock", [-1000, 0, 1000])
def test_an_owner_elsewhere_that_renews_is_not_succeeded_whatever_its_clock(tmp_path, clock):
    owner, ended = elsewhere(tmp_path), threading.Event()

    def renew() -> None:
        renewals = 0
        while not ended.wait(0.05):
            renewals += 1
            with (tmp_path / NAME).open("r+b") as file:
                file.write(replace(owner, renewals=renewals).text())
            os.utime(tmp_path / NAME, (time.time() + clock,) * 2)

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        with pytest.raises(Held) as held:
            LockFile(tmp_path, "next", SHORT).acquire()
    finally:
        ended.set()
        thread.join()
    assert held.value.owner.id == owner.id


def test_an_owner_elsewhere_that_releases_while_it_is_watched_is_succeeded(tmp_path):
    elsewhere(tmp_path)
    timer = threading.Timer(0.1, (tmp_path / NAME).unlink)
    timer.start()
    lock = LockFile(tmp_path, "next", replace(SHORT, silent=30))
    before = time.monotonic()
    lock.acquire()
    assert time.monotonic() - before < 5
    lock.release()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"process": {"pid": 1}}', b"\xff\x00"])
def test_a_lock_that_cannot_be_read_is_somebodys_until_it_is_silent(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    lock = LockFile(tmp_path, "next", SHORT)
    before = time.monotonic()
    lock.acquire()
    assert time.monotonic() - before > 0.2
    lock.release()
    assert names(tmp_path) == []


@pytest.mark.parametrize("unreadable", [".owner.0123.next", ".owner.unknown.next", NAME])
def test_a_claim_that_cannot_be_read_blocks_nobody_for_ever(tmp_path, unreadable):
    elsewhere(tmp_path, age=100)
    (tmp_path / unreadable).write_bytes(b"")
    (tmp_path / ".owner.unknown.next").write_bytes(b"")
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - 100,) * 2)
    lock = LockFile(tmp_path, "taker", SHORT)
    lock.acquire()
    assert json.loads((tmp_path / NAME).read_bytes())["command"] == "taker"
    lock.release()
    assert set(names(tmp_path)) <= {".owner.unknown.next"}


def test_renewals_change_the_file_and_notice_another_owner(tmp_path):
    lock = LockFile(tmp_path, "mine", SHORT)
    lock.acquire()
    before = (tmp_path / NAME).read_bytes()
    lock.renew()
    after = (tmp_path / NAME).read_bytes()
    assert (json.loads(before)["renewals"], json.loads(after)["renewals"]) == ("0" * 12, "0" * 11 + "1")
    assert len(before) == len(after)
    (tmp_path / NAME).unlink()
    lock.renew()  # deleted by hand: made again
    lock.renew()
    (tmp_path / "other").write_bytes(Owner(this_process(), "other", "", "other").text())
    os.replace(tmp_path / "other", tmp_path / NAME)
    with pytest.raises(Lost) as lost:
        lock.renew()
    assert lost.value.owner.command == "other"
    lock.release()
    assert json.loads((tmp_path / NAME).read_bytes())["id"] == "other"  # never another's
    assert names(tmp_path) == [NAME]


def test_a_taker_and_the_late_release_of_the_old_owner_do_not_meet(tmp_path):
    """A process that was suspended wakes while its folder is being taken: it must leave the taker's claim alone."""
    lock = LockFile(tmp_path, "suspended", SHORT)
    lock.acquire()
    identity = json.loads((tmp_path / NAME).read_bytes())["id"]
    claim = tmp_path / f".owner.{identity}.next"
    claim.write_bytes(Owner(this_process(), "taker", "", "taker").text())
    lock.release()
    assert names(tmp_path) == sorted([NAME, claim.name])


def test_without_hard_links_the_record_is_written_under_the_name(tmp_path, monkeypatch):
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")  # what FAT says

    monkeypatch.setattr(lock_file.os, "link", no_links)
    lock = LockFile(tmp_path, "first")
    lock.acquire()
    with pytest.raises(Held):
        LockFile(tmp_path, "second").acquire()
    lock.renew()
    lock.release()
    assert names(tmp_path) == []


def test_hidden_files_of_killed_processes_are_removed_when_they_are_old(tmp_path):
    for name, age in ((".owner.a.partial", 7200), (".owner.b.next", 7200), (".owner.c.partial", 60)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    lock = LockFile(tmp_path, "next")
    lock.acquire()
    assert names(tmp_path) == [".owner.c.partial", NAME]
    lock.release()


def test_a_record_keeps_what_it_was_made_of(tmp_path):
    owner = Owner(this_process(), 'loupe curate "a" ü', "2026-01-01 00:00:00", "1", 7)
    (tmp_path / NAME).write_bytes(owner.text())
    values = json.loads((tmp_path / NAME).read_bytes())
    assert values | {"renewals": 7} == asdict(owner)
