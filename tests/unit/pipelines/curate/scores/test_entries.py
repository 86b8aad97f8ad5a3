"""The group `entries`: the places in a file of the entries of each caption."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest
from caption_corpus import HEADER, measured

from data_filters.errors import InputError
from data_filters.facts import Facts
from pipelines.curate.scores.entries import Entries, read_entries
from pipelines.curate.scores.group import Group


def test_rows_are_the_places_of_entries(tmp_path: Path) -> None:
    path = tmp_path / "entries.txt"
    path.write_text("dog\nhot dog\ncat\n")
    entries, sha256 = read_entries(str(path))
    assert entries == ["dog", "hot dog", "cat"]
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    group: Group = pickle.loads(pickle.dumps(Entries(str(path), sha256, False)))
    table = measured(["a hot dog", "", "Cat", "cat dog cat"], group, batch=3)
    assert table["entries"].to_pylist() == [[0, 1], [], [], [0, 2]]
    assert group.measure([]).schema.equals(group.schema())
    assert group.settings() == {"sha256": sha256, "ignore_case": False}
    ignoring = Entries(str(path), sha256, True)
    assert measured(["Cat"], ignoring)["entries"].to_pylist() == [[2]]


def test_a_file_that_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "entries.txt"
    path.write_text("dog")
    group = Entries(str(path), read_entries(str(path))[1], False)
    path.write_text("cat")
    with pytest.raises(InputError, match="has changed since the run was planned .*; start the run again"):
        group.measure([Facts(HEADER, "dog")])


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for uri in (str(tmp_path / "absent"), str(tmp_path), "memory://absent"):
        with pytest.raises(
            InputError, match="cannot be read: .*; give a file with one entry per line"
        ) as caught:
            read_entries(uri)
        assert "\n" not in str(caught.value)
