"""A run that ended with too many broken samples goes on after its advice is followed: raise the limit, or mend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from raw_shards import picture, write_tar
from small_runs import small_recipe

from data_filters.errors import InputError
from pretrain.training.checkpoint import list_checkpoints
from pretrain.training.launch_local import run_local
from pretrain.training.metrics import read_metrics
from pretrain.training.setup import prepare_run

BROKEN = b"\x89PNG\r\n\x1a\nno picture"


def write_pairs(folder: Path, broken_every: int | None) -> None:
    """One tar of 200 pairs, of which each `broken_every`-th has no picture."""
    members: dict[str, bytes | str] = {}
    for number in range(200):
        broken = broken_every is not None and number % broken_every == 3
        members[f"{number:05d}.png"] = BROKEN if broken else picture(32, 32, number, "PNG")
        members[f"{number:05d}.txt"] = f"picture {number}"
    write_tar(folder / "0.tar", members)


def train(folder: Path, accept: bool = False, **data: float) -> list[float]:
    """Start the run in `folder` on its raw tars again; returns the steps that are logged."""
    recipe = small_recipe(
        {"steps": 20, "log_every": 1, "checkpoint_every": 1, "keep_checkpoints": 20},
        data={"batch_size": 8, "prefetch": 1, "stream_buffer": 1} | data,
    )
    prepared = prepare_run(recipe, str(folder / "raw"), str(folder / "run"), accept_changed_data=accept)
    run_local(prepared, lambda _: None)
    return [line["step"] for line in read_metrics(folder / "run")]


@pytest.fixture
def stopped(tmp_path) -> Path:
    """A folder with a run that ended since a tenth of its samples is broken, after it wrote checkpoints."""
    write_pairs(tmp_path / "raw", broken_every=10)
    with pytest.raises(InputError, match="data.max_bad_fraction = 0.01; raise it, or mend the data"):
        train(tmp_path)
    assert 5 < len(list_checkpoints(tmp_path / "run")) < 20
    return tmp_path


def test_the_limit_is_raised(stopped):
    assert train(stopped, max_bad_fraction=0.5) == list(range(1, 21)), "from its checkpoint to its end"


def test_the_data_is_mended(stopped):
    done = len(list_checkpoints(stopped / "run"))
    write_pairs(stopped / "raw", broken_every=None)
    with pytest.raises(InputError, match=r"other data: 0\.tar has other bytes .*--accept-changed-data"):
        train(stopped)
    assert train(stopped, accept=True) == list(range(1, 21))
    (change,) = json.loads((stopped / "run" / "config.json").read_text())["changes"]
    assert (change["step"], change["shard"], change["samples"]) == (done, "0.tar", [200, 200])
    assert train(stopped) == list(range(1, 21)), "what was accepted is asked once"


def test_a_setting_that_is_learned_is_named(stopped):
    with pytest.raises(
        InputError, match="data.batch_size is 8 there, 4 here, data.flip is false there, true here"
    ):
        train(stopped, batch_size=4, flip=True)
