"""When a cell is done, trained, free to start; what its evaluations are known by."""

import hashlib
import json
import uuid
from pathlib import Path

import fsspec
import pytest

from cluster.ablation.cells import Cell, cell_folder, check_folder, evaluation_identity, short_hash
from cluster.ablation.plan import Evaluation
from data_filters.errors import InputError
from pretrain.training.run_record import RunRecord, write_run_record


def cell(
    folder: Path,
    start: Path | None = None,
    identity: str = "a",
    config: dict | None = None,
    branch: dict | None = None,
    shards: tuple = (),
) -> Cell:
    evaluation = {
        "name": "retrieval",
        "task": "retrieval",
        "split": "test",
        "title": None,
        "data": "world/test",
        "options": {},
        "identity": "e",
    }
    job = {
        "row": "r",
        "seed": 1,
        "identity": identity,
        "steps": 4,
        "start": branch,
        "config": config or {},
        "data": [],
        "evaluations": [evaluation],
    }
    return Cell("r", 1, folder, job, start, shards)


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def test_a_cell_is_done_when_its_result_holds_every_evaluation(tmp_path):
    mine = cell(tmp_path)
    assert not mine.is_done()
    write(tmp_path / "result.json", {"evaluations": {"other": {}}})
    assert not mine.is_done()
    write(tmp_path / "result.json", {"evaluations": {"other": {}, "retrieval": {}}})
    assert mine.is_done()


def test_a_branch_waits_for_its_checkpoint_unless_it_is_trained(tmp_path):
    start = tmp_path / "start"
    mine = cell(tmp_path / "cell", start)
    assert cell(tmp_path / "cell").can_start()
    assert not mine.can_start()
    write(start / "state.json", {"step": 1})
    assert mine.can_start()
    (start / "state.json").unlink()
    write(tmp_path / "cell" / "export" / "export.json", {})
    assert mine.is_trained()
    assert mine.can_start()


def test_a_claimed_folder_refuses_another_training_and_another_evaluation(tmp_path):
    cell(tmp_path).claim()
    check_folder([cell(tmp_path)])
    with pytest.raises(
        InputError, match="row r is now: data.flip is false there, true here, seed is 0 there, 3 here"
    ):
        check_folder([cell(tmp_path, identity="b", config={"seed": 3, "data": {"flip": True}})])
    with pytest.raises(InputError, match='start is null there, {"row": "a", "steps": 2} here'):
        check_folder([cell(tmp_path, identity="b", branch={"row": "a", "steps": 2})])
    write(tmp_path / "evaluation" / "retrieval.json", {"identity": "f"})
    with pytest.raises(InputError, match="holds evaluation retrieval as f, in this plan it is e"):
        check_folder([cell(tmp_path)])


def test_another_hash_of_the_same_settings_and_data_is_the_same_training(tmp_path):
    """As when a version counts fewer keys as something that is learned, or the folder was moved."""
    shard = {"uri": "/d/0.tar", "samples": 3, "sha256": "aa", "witness": None}
    cell(tmp_path, config={"start": {"weights": "/old/rows/a", "step": 2}}).claim()
    write_run_record(tmp_path / "run", RunRecord({}, (shard,), None, 4, ()), ["/d"], "a")
    moved = {"name": "other", "start": {"weights": "/new/rows/a", "step": 2}}
    check_folder([cell(tmp_path, identity="b", config=moved, shards=(shard,))])
    with pytest.raises(InputError, match="0.tar has other bytes"):
        check_folder([cell(tmp_path, identity="b", config=moved, shards=({**shard, "sha256": "bb"},))])


def test_an_evaluation_is_known_by_all_but_its_name_and_title(tmp_path):
    write(tmp_path / "world.json", {"seed": 3})
    first = Evaluation(name="a", task="retrieval", options={"gallery": 8})
    identity = evaluation_identity(first, str(tmp_path))
    assert identity == evaluation_identity(
        first.model_copy(update={"name": "b", "title": "B"}), str(tmp_path)
    )
    changed = [
        first.model_copy(update={"split": "unseen"}),
        first.model_copy(update={"task": "detection"}),
        first.model_copy(update={"options": {"gallery": 9}}),
    ]
    others = {evaluation_identity(evaluation, str(tmp_path)) for evaluation in changed}
    write(tmp_path / "world.json", {"seed": 4})
    others.add(evaluation_identity(first, str(tmp_path)))
    assert len(others | {identity}) == 5


def test_a_remote_world_is_known_by_its_record_too(tmp_path):
    evaluation = Evaluation(name="a", task="retrieval")
    write(tmp_path / "world.json", {"seed": 3})
    remote = f"memory://{uuid.uuid4().hex}"
    assert evaluation_identity(evaluation, remote) != evaluation_identity(evaluation, str(tmp_path))
    fsspec.filesystem("memory").pipe_file(f"{remote}/world.json", b'{"seed": 3}')
    assert evaluation_identity(evaluation, remote) == evaluation_identity(evaluation, str(tmp_path))


def test_the_hash_is_of_sorted_json():
    expected = hashlib.sha256(b'{"a": [1, null], "b": 2}').hexdigest()[:16]
    assert short_hash({"b": 2, "a": [1, None]}) == expected


def test_the_folder_of_a_cell(tmp_path):
    assert cell_folder(tmp_path, "tsa", 7) == tmp_path / "rows" / "tsa" / "seed-7"
