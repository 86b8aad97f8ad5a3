"""Thousands of damaged tars: no exception leaves curation or training, and every sample is accounted for."""

import io
import logging
import tarfile

import pytest
from curation import bad_of, curate_one, pairs_of, rejected
from damaged_tars import HARMLESS_TO_MEMBERS, damaged
from raw_shards import CAPTION, picture, write_tar

from data_filters.errors import InputError
from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units
from pipelines.curate.plan import make_plan
from pipelines.curate.scored import stored_scores
from pipelines.shards.reader import read_index, walk
from pretrain.data.datasets import open_data, open_reader
from pretrain.tasks.dual_encoder_config import DualEncoderConfig

CONFIG = CurateConfig(min_side=16, examples=1)
TOGETHER = 25  # damaged tars of one training reader


def members(number: int, extras: bool, folder: str = "") -> dict[str, bytes]:
    """Members of a pair, whose sizes differ from pair to pair."""
    side = 24 + 24 * number
    found = {
        f"{folder}k{number}.jpg": picture(side, side, seed=number, quality=95),
        f"{folder}k{number}.txt": f"{CAPTION} number {number}" + " and more" * 80 * (number % 3),
    }
    if extras:
        found[f"{folder}k{number}.json"] = f'{{"number": {number}}}'
        found[f"{folder}k{number}.cls"] = b"7" * 700
    return {name: text.encode() if isinstance(text, str) else text for name, text in found.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> list[tuple[bytes, dict[str, bytes]]]:
    """Whole tars of six pairs: (their bytes, members by name)."""
    found = []
    for number, (form, extras, folder) in enumerate(
        [
            (tarfile.USTAR_FORMAT, False, ""),
            (tarfile.USTAR_FORMAT, True, ""),
            (tarfile.GNU_FORMAT, False, "x" * 120 + "/"),
            (tarfile.PAX_FORMAT, True, "ż/"),
        ]
    ):
        content = {}
        for pair in range(6):
            content |= members(pair, extras, folder)
        path = write_tar(tmp_path_factory.mktemp("whole") / f"{number}.tar", content, form)
        found.append((path.read_bytes(), content))
    return found


def curated(folder, data: bytes, seed: int):
    """Curate one damaged tar as a run does; returns what was scanned, the decision, and the members written."""
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / "0.tar").write_bytes(data)
    (unit,) = find_units(str(folder / "in"))
    found, decision, manifest = curate_one(unit, str(folder / "out"), CONFIG)
    stored = stored_scores(unit, make_plan(CONFIG).groups, str(folder / "out"))
    assert stored == (found, []), f"seed {seed}: what is stored is another scan"
    if not manifest["outputs"]:
        return found, decision, {}
    tar = folder / "out" / "0.tar"
    assert read_index(tar) == list(walk(tar)), f"seed {seed}: index and tar differ"
    with tarfile.open(tar) as opened:
        return found, decision, {m.name: opened.extractfile(m).read() for m in opened.getmembers()}


@pytest.mark.long
def test_curation_accounts_for_every_sample_of_a_damaged_tar(tmp_path, whole, repetitions):
    for seed in range(repetitions(2000)):
        data, original = whole[seed % len(whole)]
        kind, data = damaged(seed, data)
        where = f"seed {seed} ({kind})"
        found, decision, written = curated(tmp_path, data, seed)
        funnel, pairs, bad = decision.funnel, pairs_of(found), bad_of(found)
        kept = [pairs[row] for row in decision.kept]
        assert all(row["reason"] and row["count"] >= 0 for row in bad), where
        assert funnel.samples == len(pairs) + sum(row["count"] for row in bad), where
        assert len(pairs) == len(kept) + len(rejected(found, decision, CONFIG)), where
        assert {row["key"] for row in kept} == {name[: name.rindex(".")] for name in written}, where
        if kind in HARMLESS_TO_MEMBERS:
            for row in kept:
                names = {f"{row['key']}.{member['extension']}" for member in row["members"]}
                assert names == {name for name in original if name.startswith(f"{row['key']}.")}, where
                for name in names - {f"{row['key']}.json"}:
                    assert written[name] == original[name], where
        if kind == "flip_in_data" and seed % len(whole) < 2:
            with tarfile.open(fileobj=io.BytesIO(data)) as plain:
                keys = {member.name.split(".")[0] for member in plain}
            assert funnel.samples == len(keys) == 6, where


@pytest.mark.long
def test_training_reads_past_damaged_tars(tmp_path, whole, repetitions, caplog):
    caplog.set_level(logging.ERROR)
    given_up = 0
    for first in range(0, repetitions(2000), TOGETHER):
        folder = tmp_path / str(first)
        folder.mkdir()
        for seed in range(first, first + TOGETHER):
            _, data = damaged(seed, whole[seed % len(whole)][0])
            (folder / f"{seed:05d}.tar").write_bytes(data)
        where = f"seeds {first} to {first + TOGETHER - 1}"
        settings = CONFIG_OF_TRAINING
        try:
            reader = open_reader(settings, open_data(settings, str(folder)), 0, 1)
            steps = list(reader.batches(0, reader.plan.steps_per_epoch))
        except InputError:  # more tars of the folder are damaged than pairs are read
            given_up += 1
            continue
        except Exception as error:
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
        assert len(steps) == reader.plan.steps_per_epoch, where
        assert all(len(batch.keys) == 4 for step in steps for batch in step), where
    assert given_up <= repetitions(2000) // TOGETHER // 2


CONFIG_OF_TRAINING = DualEncoderConfig.model_validate(
    {
        "seed": 3,
        "model": {"image": {"image_size": 32}},
        "data": {"batch_size": 4, "stream_buffer": 1, "max_bad_fraction": 1.0},
    }
)
