"""One line for every kind of data that holds nothing to train on."""

import json
import re

import pytest
from raw_shards import write_tar

from data_filters.errors import InputError
from pretrain.data.datasets import open_data
from pretrain.data.no_samples import why_no_samples, why_not_committed
from pretrain.tasks.dual_encoder_config import DualEncoderConfig


def manifest(folder, name, pairs):
    """Commit a shard of whose pairs a curation kept none."""
    (folder / "manifests").mkdir(parents=True, exist_ok=True)
    funnel = {"samples": pairs, "quarantined": 0, "pairs": pairs, "kept": 0, "filters": [], "quarantine": {}}
    values = {"version": 1, "config_hash": "0", "inputs": [], "outputs": [], "funnel": funnel}
    (folder / "manifests" / f"{name}.json").write_text(json.dumps(values))


@pytest.fixture
def places(tmp_path):
    """Paths of every kind."""
    manifest(tmp_path / "none kept", "00000", 1200)
    manifest(tmp_path / "none kept", "00001", 34)
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("")
    write_tar(tmp_path / "raw" / "0.tar", {"notes.md": "no sample"})
    return tmp_path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none kept", r"kept none of 1,234 pairs \(2 shards .*report.html"),
        ("empty", "holds neither manifests"),
        ("note.txt", "is a file, but no .tar"),
        ("absent", "does not exist"),
        ("*.tar", "is a pattern that no .tar file matches"),
    ],
)
def test_each_kind_has_its_line(places, name, says):
    for line in (why_no_samples(f"{places}/{name}"), why_not_committed(f"{places}/{name}")):
        assert line.startswith(f"data '{places}/{name}'")
        assert "\n" not in line
        assert re.search(says, line)


def test_a_mixture_of_plain_tars_is_told_what_a_mixture_needs(places):
    with pytest.raises(InputError, match="several datasets are mixed only where all are curated"):
        open_data(DualEncoderConfig(), [f"{places}/raw=1", f"{places}/none kept=2"])
    assert "is one tar" in why_not_committed(f"{places}/raw/0.tar")


def test_what_a_user_names_is_opened_or_explained(places):
    with pytest.raises(InputError, match="the curation kept none of 1,234 pairs"):
        open_data(DualEncoderConfig(), f"{places}/none kept")
