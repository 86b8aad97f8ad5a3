import json
import os

import pytest

from data_filters.errors import InputError
from pretrain.evaluation.results import claim_output, write_metrics


def test_the_same_evaluation_may_be_repeated_and_another_is_refused(tmp_path):
    output = tmp_path / "out"
    claim_output(str(output), {"task": "a"})  # not there yet
    write_metrics(str(output), {"task": "a", "score": 0.5})
    claim_output(str(output), {"task": "a"})
    with pytest.raises(
        InputError, match="holds results with task 'a', this is task 'b'; nothing was changed"
    ):
        claim_output(str(output), {"task": "b"})
    assert json.loads((output / "metrics.json").read_text()) == {"task": "a", "score": 0.5}


def test_other_files_are_left_alone_and_those_of_an_interrupted_evaluation_are_not_others(tmp_path):
    for name in ("examples.json", "detections.json", "ground_truth.json", ".metrics.json.partial"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "examples").mkdir()
    claim_output(str(tmp_path), {"task": "a"})
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="not empty and holds no metrics"):
        claim_output(str(tmp_path), {"task": "a"})


def test_a_file_and_broken_metrics_are_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file; give a folder"):
        claim_output(str(tmp_path / "file"), {})
    for content in ("{", "[1]"):
        (tmp_path / "metrics.json").write_text(content)
        with pytest.raises(InputError, match="is not understood"):
            claim_output(str(tmp_path), {"task": "a"})


def test_a_place_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written, since '.*file' is no folder to write into"):
        claim_output(str(tmp_path / "file" / "out"), {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission_is_refused_before_any_work(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"):
        claim_output(str(tmp_path / "out"), {})


def test_metrics_are_written_whole(tmp_path):
    write_metrics(str(tmp_path / "new"), {"é": 1})
    file = tmp_path / "new" / "metrics.json"
    before = file.read_text()
    assert json.loads(before) == {"é": 1}
    with pytest.raises(TypeError):
        write_metrics(str(tmp_path / "new"), {"x": object()})
    assert file.read_text() == before
    assert [path.name for path in file.parent.iterdir()] == ["metrics.json"]
