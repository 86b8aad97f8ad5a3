"""`--update` brings an output to another recipe: the result is that of a fresh run, and no more is made anew."""

import json
import shutil
import tarfile

import pytest
from curation_rules import MEASURED, FewLetters, SameCaption
from raw_shards import CAPTION, pairs, picture, write_tar
from without_ray import without_ray

from data_filters.errors import InputError
from pipelines.common.config import config_hash
from pipelines.curate import kept_samples, phases
from pipelines.curate.config import CurateConfig
from pipelines.curate.run import curate
from pipelines.curate.scores.filter_scores import FilterScores
from pipelines.curate.tasks import WriteShard
from pipelines.phrases.config import PhrasesConfig

CONFIG = CurateConfig(min_side=64, examples=1)
STRICTER = CONFIG.model_copy(update={"min_side": 100})
SAME = ("*.tar", "*.index.parquet", "decisions/*", "status/*", "scores/*/*", "dataset.json")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, no_ray):
    without_ray(monkeypatch)


@pytest.fixture
def measured(monkeypatch):
    """How many pairs each call of the group `filters` was given."""
    calls: list[int] = []
    measure = FilterScores.measure
    monkeypatch.setattr(FilterScores, "measure", lambda self, of: calls.append(len(of)) or measure(self, of))
    return calls


def shards(folder, names: str = "012") -> None:
    """Shards of two large pairs; the second one has a pair of 80 px beside them."""
    for name in names:
        members = pairs(2, prefix=f"s{name}_")
        if name == "1":
            members |= {"small.jpg": picture(80, 80), "small.txt": f"{CAPTION} small"}
        write_tar(folder / f"{name}.tar", members)


def once(tmp_path, config=CONFIG, output="out", **options):
    return curate(config, str(tmp_path / "in"), str(tmp_path / output), **options)


def files(output) -> dict[str, bytes]:
    return {str(path.relative_to(output)): path.read_bytes() for kind in SAME for path in output.glob(kind)}


def manifest(output, name: str) -> dict:
    return json.loads((output / "manifests" / f"{name}.json").read_text())


def same_as_fresh(tmp_path, config, output="out") -> None:
    shutil.rmtree(tmp_path / "fresh", ignore_errors=True)
    once(tmp_path, config, "fresh")
    assert files(tmp_path / output) == files(tmp_path / "fresh")
    ours, fresh = (sorted((tmp_path / folder / "manifests").iterdir()) for folder in (output, "fresh"))
    assert [path.name for path in ours] == [path.name for path in fresh]
    for one, other in zip(ours, fresh, strict=True):
        here, there = json.loads(one.read_text()), json.loads(other.read_text())
        assert {**here, "history": []} == {**there, "history": []}


def test_a_tighter_limit_writes_only_the_tar_whose_pairs_differ_and_measures_nothing(tmp_path, measured):
    shards(tmp_path / "in")
    assert once(tmp_path).kept == 7
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tar")}
    scores = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "scores").glob("*/*")}
    measured.clear()
    summary = once(tmp_path, STRICTER, update=True)
    assert (summary.kept, summary.tars_written, summary.config_hash) == (6, 1, config_hash(STRICTER))
    assert measured == []
    assert {path: path.stat().st_mtime_ns for path in scores} == scores
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tar")}
    assert [name for name in before if after[name] != before[name]] == ["1.tar"]
    same_as_fresh(tmp_path, STRICTER)
    (past,) = manifest(tmp_path / "out", "1")["history"]
    assert (past["config_hash"], past["config"]["min_side"], past["kept"]) == (config_hash(CONFIG), 64, 3)
    back = once(tmp_path, update=True)
    assert (back.kept, back.tars_written) == (7, 1)
    same_as_fresh(tmp_path, CONFIG)
    assert [one["kept"] for one in manifest(tmp_path / "out", "1")["history"]] == [3, 2]
    assert once(tmp_path).shards_skipped == 3


def test_another_recipe_without_update_is_refused_and_nothing_changes(tmp_path):
    shards(tmp_path / "in")
    once(tmp_path)
    before = files(tmp_path / "out")
    with pytest.raises(InputError, match="min_side 64 there, 100 here.*--update"):
        once(tmp_path, STRICTER)
    assert files(tmp_path / "out") == before


def test_a_dry_update_counts_and_writes_nothing(tmp_path, measured):
    shards(tmp_path / "in")
    once(tmp_path)
    before = files(tmp_path / "out")
    measured.clear()
    assert once(tmp_path, STRICTER, update=True, dry_run=True).kept == 6
    assert measured == []
    assert files(tmp_path / "out") == before
    assert manifest(tmp_path / "out", "1")["config_hash"] == config_hash(CONFIG)


def test_a_new_rule_computes_its_group_alone_and_without_the_images(tmp_path, measured):
    shards(tmp_path / "in")
    once(tmp_path)
    measured.clear()
    MEASURED.clear()
    ruled = CONFIG.model_copy(update={"rules": {"e": FewLetters(letter="l", least=2)}})
    summary = once(tmp_path, ruled, update=True)
    assert summary.kept == 1  # `field` has one l, `small` two more
    assert measured == []
    assert sorted(len(of) for of in MEASURED) == [2, 2, 3]
    assert all(pair.data == b"" and pair.image_bytes > 0 for of in MEASURED for pair in of)
    same_as_fresh(tmp_path, ruled)


def test_an_update_that_was_stopped_goes_on(tmp_path, monkeypatch):
    shards(tmp_path / "in")
    once(tmp_path)
    write = WriteShard.__call__

    def stopped(self, unit):
        if unit.name == "2":
            raise KeyboardInterrupt
        return write(self, unit)

    with monkeypatch.context() as patched:
        patched.setattr(WriteShard, "__call__", stopped)
        with pytest.raises(KeyboardInterrupt):
            once(tmp_path, STRICTER, update=True)
    with pytest.raises(InputError, match="--update"):
        once(tmp_path, STRICTER)
    assert once(tmp_path, STRICTER, update=True).tars_written == 0
    same_as_fresh(tmp_path, STRICTER)


def test_groups_of_raw_shards_survive_an_update_and_a_new_shard_stands_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(phases, "MIB", 1024)  # shard_size in KiB, since these pictures are small
    shards(tmp_path / "in", "0124")
    grouped = CONFIG.model_copy(update={"shard_size": 1})
    one = sum(path.stat().st_size for path in (tmp_path / "in").glob("0.tar")) // 1024
    grouped = CONFIG.model_copy(update={"shard_size": one + 1})
    once(tmp_path, grouped)
    tars = sorted(path.name for path in (tmp_path / "out").glob("*.tar"))
    assert tars == ["0.tar", "2.tar"]
    assert [part["name"] for part in manifest(tmp_path / "out", "0")["inputs"]] == ["0", "1"]
    shards(tmp_path / "in", "3")  # its name lies inside of the second group
    stricter = STRICTER.model_copy(update={"shard_size": one + 1})
    summary = once(tmp_path, stricter, update=True)
    assert (summary.kept, summary.tars_written) == (10, 2)
    assert [part["name"] for part in manifest(tmp_path / "out", "2")["inputs"]] == ["2", "4"]
    assert [part["name"] for part in manifest(tmp_path / "out", "3")["inputs"]] == ["3"]
    with tarfile.open(tmp_path / "out" / "0.tar") as tar:
        assert sorted({name.split(".")[0] for name in tar.getnames()}) == [
            "s0_00000",
            "s0_00001",
            "s1_00000",
            "s1_00001",
        ]
    with pytest.raises(InputError, match=f"begun with shard_size {one + 1}, this run has null"):
        once(tmp_path, STRICTER, update=True)


def test_a_group_whose_first_raw_shard_is_withdrawn_keeps_its_name(tmp_path):
    shards(tmp_path / "in")
    grouped = CONFIG.model_copy(update={"shard_size": 1})
    once(tmp_path, grouped)
    assert [path.name for path in (tmp_path / "out").glob("*.tar")] == ["0.tar"]
    (tmp_path / "in" / "0.tar").unlink()
    assert once(tmp_path, grouped, drop_withdrawn=True).kept == 5
    stricter = STRICTER.model_copy(update={"shard_size": 1})
    assert once(tmp_path, stricter, update=True).kept == 4
    assert [path.name for path in (tmp_path / "out").glob("*.tar")] == ["0.tar"]
    assert len(list((tmp_path / "out" / "manifests").iterdir())) == 1


def test_a_withdrawn_shard_of_another_recipe_has_to_go(tmp_path):
    shards(tmp_path / "in")
    once(tmp_path)
    (tmp_path / "in" / "2.tar").unlink()
    fewer = CONFIG.model_copy(update={"filters": ("small_image",)})
    with pytest.raises(
        InputError, match="2.json of config .* whose raw shards the input has no more.*--drop-"
    ):
        once(tmp_path, fewer, update=True)
    assert once(tmp_path, fewer, update=True, drop_withdrawn=True).kept == 5
    same_as_fresh(tmp_path, fewer)


def test_phrases_are_found_once_by_each_caption(tmp_path, monkeypatch):
    """The tar that is written again takes the phrases of captions that stay from the tar that was there."""
    shards(tmp_path / "in", "1")
    parsed: list[str] = []
    parser = kept_samples.parser
    monkeypatch.setattr(
        kept_samples, "parser", lambda config: lambda texts: parsed.extend(texts) or parser(config)(texts)
    )
    phrases = CONFIG.model_copy(update={"phrases": PhrasesConfig()})
    once(tmp_path, phrases)
    assert len(parsed) == 3
    once(tmp_path, phrases.model_copy(update={"min_side": 100}), update=True)
    assert len(parsed) == 3
    same_as_fresh(tmp_path, phrases.model_copy(update={"min_side": 100}))


def test_a_new_shard_changes_what_a_rule_over_the_corpus_drops(tmp_path):
    """Shard 1 holds a caption that a new shard before it brings too."""
    ruled = CONFIG.model_copy(update={"rules": {"same": SameCaption()}})
    write_tar(tmp_path / "in" / "1.tar", pairs(2, prefix="b"))
    assert once(tmp_path, ruled).kept == 2
    write_tar(tmp_path / "in" / "0.tar", pairs(1, prefix="a"))
    summary = once(tmp_path, ruled)
    assert (summary.kept, summary.rejected["same"], summary.tars_written) == (2, 1, 2)
    same_as_fresh(tmp_path, ruled)
    assert once(tmp_path, ruled).shards_skipped == 2
    (tmp_path / "in" / "0.tar").unlink()
    assert once(tmp_path, ruled, drop_withdrawn=True).kept == 2
    same_as_fresh(tmp_path, ruled)


def test_commits_of_two_decisions_are_brought_to_one(tmp_path, monkeypatch):
    """A run is killed when it has written the new shard, and not yet the one that the new shard changes."""
    ruled = CONFIG.model_copy(update={"rules": {"same": SameCaption()}})
    write_tar(tmp_path / "in" / "1.tar", pairs(2, prefix="b"))
    once(tmp_path, ruled)
    write_tar(tmp_path / "in" / "0.tar", pairs(1, prefix="a"))
    write = WriteShard.__call__

    def stopped(self, unit):
        if unit.name == "1":
            raise KeyboardInterrupt
        return write(self, unit)

    with monkeypatch.context() as patched:
        patched.setattr(WriteShard, "__call__", stopped)
        with pytest.raises(KeyboardInterrupt):
            once(tmp_path, ruled)
    assert once(tmp_path, ruled).kept == 2
    same_as_fresh(tmp_path, ruled)
