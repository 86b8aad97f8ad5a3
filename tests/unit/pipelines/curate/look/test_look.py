"""Phase L of one shard: what it computes, what it leaves alone, and what it sets aside."""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from curation import scanned
from raw_shards import pairs, picture, write_tar
from tiny_models import tiny_classifier, tiny_dual_encoder

from pipelines.curate.look import look as look_module
from pipelines.curate.look.dual_encoder import DualEncoderScores, dual_encoder_scores
from pipelines.curate.look.group import fault_column, looked_column
from pipelines.curate.look.image_classifier import ClassifierScores, classifier_scores
from pipelines.curate.look.look import filled_up, lacking, look, looks_or_empty, stored_looks
from pipelines.curate.scores.storage import Scores, load_group, save_scores, with_table
from pipelines.shards.unit import Unit
from pipelines.shards.witness import ShardChanged

PAIRS = 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_classifier(tmp_path_factory.mktemp("classifier"))


@dataclass(frozen=True)
class Counting(ClassifierScores):
    """Notes the size of each batch; does not fit into memory above `most` pictures."""

    most: int = 1000
    error: type[Exception] = MemoryError
    sizes: list[int] = field(default_factory=list)

    def measure(self, pictures):
        self.sizes.append(len(pictures))
        if len(pictures) > self.most:
            raise self.error("too large")
        return super().measure(pictures)


def counting(folder: str, **options) -> Counting:
    plain = classifier_scores(folder, "unsafe")
    return Counting(plain.folder, plain.sha256, plain.label, plain.at_least, **options)


def shard(tmp_path, **members) -> Scores:
    path = write_tar(tmp_path / "in" / "0.tar", pairs(PAIRS) | members)
    return scanned(Unit("0", str(path), path.stat().st_size))


def cut(width: int = 300) -> bytes:
    """A PNG whose header is whole and whose pixels do not decode."""
    whole = picture(width, 280, seed=99, format="PNG")
    middle = len(whole) // 2
    return whole[:middle] + bytes(64) + whole[middle + 64 :]


def first_look(scores: Scores, group, rows, batch_size: int = 4) -> pa.Table:
    tables = looks_or_empty(scores, [group])
    return look(scores, tables, [group], np.array(rows, np.int64), batch_size)[group.name]


def test_batches_hold_the_wanted_pairs_in_order(tmp_path, folder):
    scores, group = shard(tmp_path), counting(folder)
    table = first_look(scores, group, [0, 2, 3, 4, 5, 7, 8])
    assert group.sizes == [4, 3]
    looked = table.column(looked_column(group)).to_pylist()
    assert looked == [row not in (1, 6) for row in range(PAIRS)]
    assert [value is not None for value in table.column(group.column).to_pylist()] == looked
    every = first_look(scores, classifier_scores(folder, "unsafe"), range(PAIRS), 100).column(group.column)
    assert len(set(every.to_pylist())) == PAIRS
    assert table.column(group.column).drop_null().equals(every.take(pa.array([0, 2, 3, 4, 5, 7, 8])))


def test_a_pair_that_does_not_decode_is_set_aside_with_its_reason(tmp_path, folder):
    scores, group = shard(tmp_path, **{"x.png": cut(), "x.txt": "a caption of a few words"}), counting(folder)
    table = first_look(scores, group, range(PAIRS + 1))
    assert group.sizes == [4, 4, 1]
    faults = table.column(fault_column(group)).to_pylist()
    assert faults[:PAIRS] == [None] * PAIRS
    assert faults[PAIRS].split(":")[0] in ("broken_image", "truncated_image")
    assert table.column(group.column)[PAIRS].as_py() is None
    assert len(lacking(table, group, np.arange(PAIRS + 1))) == 0


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_a_batch_that_does_not_fit_is_halved(tmp_path, folder, error):
    scores, group = shard(tmp_path), counting(folder, most=2, error=error)
    table = first_look(scores, group, range(PAIRS), 5)
    assert group.sizes == [5, 2, 3, 1, 2, 4, 2, 2]
    assert table.equals(first_look(scores, counting(folder), range(PAIRS), 100))
    with pytest.raises(error):
        first_look(scores, counting(folder, most=0, error=error), range(PAIRS))


def test_a_batch_is_small_where_pictures_are_large_when_decoded(tmp_path, folder, monkeypatch):
    monkeypatch.setattr("pipelines.curate.look.look.DECODED_AHEAD", 3 * 320 * 260 * 2)
    group = counting(folder)
    first_look(shard(tmp_path), group, range(PAIRS), 5)
    assert group.sizes == [2, 2, 2, 2, 1]


def test_another_error_is_raised_at_once(tmp_path, folder):
    group = counting(folder, most=2, error=ValueError)
    with pytest.raises(ValueError, match="too large"):
        first_look(shard(tmp_path), group, range(PAIRS), 5)
    assert group.sizes == [5]


def test_only_pairs_that_lack_a_score_are_looked_at(tmp_path, folder):
    scores, group = shard(tmp_path), counting(folder)
    output = str(tmp_path / "out")
    first = first_look(scores, group, [1, 2, 6])
    save_scores(with_table(scores, group, first), [group], output)
    group.sizes.clear()
    tables = looks_or_empty(scores, [group], output)
    assert look(scores, tables, [group], np.array([2, 6], np.int64), 4) == {}
    assert group.sizes == []
    second = look(scores, tables, [group], np.arange(PAIRS), 4)[group.name]
    assert sum(group.sizes) == PAIRS - 3
    assert second.equals(first_look(scores, counting(folder), range(PAIRS)))


def test_scores_of_other_settings_are_not_used(tmp_path, folder):
    scores, group = shard(tmp_path), classifier_scores(folder, "unsafe")
    output = str(tmp_path / "out")
    save_scores(with_table(scores, group, first_look(scores, group, range(PAIRS))), [group], output)
    assert load_group(scores, group, output) is not None
    for other in (replace(group, at_least=1024), replace(group, version=2)):
        assert other.name == group.name
        assert (
            len(lacking(looks_or_empty(scores, [other], output)[other.name], other, np.arange(PAIRS)))
            == PAIRS
        )


def test_groups_that_lack_other_pairs_share_the_decoding(tmp_path, folder):
    scores, one = shard(tmp_path), counting(folder)
    two: DualEncoderScores = dual_encoder_scores(
        tiny_dual_encoder(tmp_path / "clip"), "clip", embeddings=True
    )
    tables = looks_or_empty(scores, [one, two])
    tables[two.name] = first_look(scores, two, [0, 1, 2, 3])
    found = look(scores, tables, [one, two], np.array([2, 3, 4, 5, 8], np.int64), 100)
    assert one.sizes == [5]
    alone = first_look(scores, two, [0, 1, 2, 3, 4, 5, 8])
    assert found[two.name].equals(alone)
    assert alone.column("embedding").null_count == 2
    save_scores(with_table(scores, two, alone), [two], str(tmp_path / "out"))
    assert looks_or_empty(scores, [two], str(tmp_path / "out"))[two.name].equals(alone)


def test_a_shard_that_changed_since_its_scan_is_an_error(tmp_path, folder):
    scores = shard(tmp_path)
    write_tar(tmp_path / "in" / "0.tar", pairs(PAIRS) | {"more.jpg": picture(), "more.txt": "more"})
    with pytest.raises(ShardChanged):
        first_look(scores, classifier_scores(folder, "unsafe"), range(PAIRS))


def test_decoding_ahead_of_a_gpu_changes_nothing(tmp_path, folder, monkeypatch):
    scores, group = shard(tmp_path, **{"x.png": cut(), "x.txt": "a caption of a few words"}), counting(folder)
    plain = first_look(scores, group, range(PAIRS + 1))
    monkeypatch.setattr(look_module, "computes_on_gpu", lambda: True)
    assert first_look(scores, group, range(PAIRS + 1)).equals(plain)
    assert group.sizes == [4, 4, 1] * 2


def test_pairs_come_from_the_first_output_that_has_looked_at_them(tmp_path):
    """Two outputs know some pairs each, one of them a picture that does not decode."""
    scores = shard(tmp_path, **{"z.png": cut(), "z.txt": "a cut picture"})
    group = dual_encoder_scores(tiny_dual_encoder(tmp_path / "clip"), "clip", embeddings=True)
    outputs = [str(tmp_path / name) for name in ("one", "two", "none")]
    for output, rows in zip(outputs, ([0, 1], [1, 4, PAIRS]), strict=False):
        save_scores(with_table(scores, group, first_look(scores, group, rows)), [group], output)
    found = looks_or_empty(scores, [group], *outputs)[group.name]
    assert found.equals(first_look(scores, group, [0, 1, 4, PAIRS]))
    assert found.column(fault_column(group))[PAIRS].as_py().startswith("broken_image")
    own = stored_looks(scores, [group], outputs[0])
    assert filled_up(own, {}, [group])[group.name] is own[group.name]
    assert filled_up(own, own, [group])[group.name] is own[group.name]
