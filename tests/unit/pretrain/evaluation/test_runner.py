"""The runner, with a toy task that is one class and one registry line."""

import json
from typing import ClassVar

import numpy as np
import pytest
from pydantic import Field

from data_filters.errors import InputError
from pipelines.common.explain import from_assignments
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.options import EvaluationOptions
from pretrain.evaluation.runner import (
    check_data,
    check_options,
    headline_numbers,
    options_of,
    run_evaluation,
)
from pretrain.evaluation.task import EvaluationTask
from pretrain.evaluation.tasks import TASKS
from pretrain.evaluation.tasks.detection import DetectionOptions


class BrightnessOptions(EvaluationOptions):
    level: float = Field(0.5, ge=0, le=1, description="brightness from which on an image is bright")


class Brightness(EvaluationTask[BrightnessOptions, list[float]]):
    """The share of images whose mean brightness is above a level."""

    options = BrightnessOptions
    columns: ClassVar = {"bright": "bright images"}
    headlines: ClassVar = {"bright": "bright", "darkest": "darkest"}

    def measure(self, evaluation):
        stream = SampleStream(evaluation.data)
        means = [np.asarray(picture.image).mean() / 255 for picture in evaluation.gallery(stream)]
        evaluation.skipped.update(stream.skipped)
        return means

    def summary(self, evaluation, measured):
        bright = [mean > evaluation.options.level for mean in measured]
        return {"bright": float(np.mean(bright)), "images": len(measured)}


@pytest.fixture
def brightness(monkeypatch):
    monkeypatch.setitem(TASKS, "brightness", Brightness())


def test_a_toy_task_is_one_class_and_one_line(brightness, export, shards, tmp_path):
    calls = []
    metrics = run_evaluation(
        "brightness",
        export,
        shards,
        str(tmp_path / "out"),
        options={"level": 0.5, "gallery": 6, "batch_size": 2},
        progress=lambda done, total: calls.append((done, total)),
    )
    means = [np.asarray(picture.image).mean() / 255 for picture in list(SampleStream(shards))[:6]]
    assert metrics.pop("seconds") >= 0
    assert metrics == {
        "task": "brightness",
        "export": export,
        "data": shards,
        "gallery": 6,
        "level": 0.5,
        "bright": pytest.approx(np.mean(np.array(means) > 0.5)),
        "images": 6,
        "skipped": {"no_caption": 1},
    }
    assert calls == [(number, 6) for number in range(1, 7)]
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert {**written, "seconds": 0} == {**metrics, "seconds": 0}
    assert headline_numbers(written) == {"bright": written["bright"]}  # it has no "darkest"
    with pytest.raises(InputError, match="holds results with level 0.5, this is level 0.25"):
        run_evaluation(
            "brightness", export, shards, str(tmp_path / "out"), options={"level": 0.25, "gallery": 6}
        )


def test_a_toy_task_has_its_column_in_an_ablation_and_its_help_on_the_command(
    brightness, monkeypatch, capsys
):
    import sys

    from cluster import cli
    from cluster.ablation.table import Column, columns_of

    assert columns_of("brightness") == {"bright": "bright images"}
    assert Column("brightness", "test", "bright").name == "bright images"
    monkeypatch.setattr(sys, "argv", ["loupe", "evaluate", "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    with pytest.raises(SystemExit):
        cli.main()
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name in TASKS:
        assert name in words


def test_examples_that_fail_are_a_warning_and_the_metrics_stand(
    brightness, export, shards, tmp_path, monkeypatch, caplog
):
    def fail(self, evaluation, measured, output):
        assert (tmp_path / "out" / "metrics.json").exists()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Brightness, "write_examples", fail)
    metrics = run_evaluation("brightness", export, shards, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == metrics
    (line,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert line.startswith(
        "examples were not written (OSError: [Errno 28] No space left on device); the numbers are"
    )


def test_a_gallery_beyond_the_data_is_recorded(brightness, export, shards):
    assert run_evaluation("brightness", export, shards, options={"gallery": 20})["skipped"] == {
        "no_caption": 2,
        "short_of_gallery": 7,
    }


@pytest.mark.parametrize("task", list(TASKS))
def test_every_task_refuses_bad_options_in_one_line(task):
    for options, said in [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"gallery": -1}, "gallery is -1"),
        ({"batch_siz": 3}, "unknown key batch_siz; did you mean batch_size"),
        ({"gallery": "few"}, "gallery is 'few'"),
        ({"gallery": True}, "gallery is True; true and false are no value"),
        ({3: 1}, "task .*: "),
        ([("gallery", 3)], "options are a list; task .* or a mapping"),
    ]:
        with pytest.raises(InputError, match=said) as raised:
            check_options(task, options)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("task", "assignment", "said"),
    [
        ("detection", "calibratoin=cosine", "unknown key calibratoin; did you mean calibration"),
        ("retrieval", "token_share=half", "token_share is 'half'"),
        ("retrieval", "calibration=cosine", "unknown key calibration"),
        ("grounding", "embedding=whole", "embedding is 'whole'; allowed are alone, dropped, ends, patches"),
        ("linear-probe", "examples=3", "unknown key examples"),
        ("linear-probe", "refinements=-1", "refinements is -1"),
        ("linear-probe", "features=pixels", "features is 'pixels'; allowed are pooled, embedding"),
        ("alignment", "budget=many", "budget is 'many'"),
        ("alignment", "budget=1", "budget is 1; input should be greater than or equal to"),
        ("alignment", "scale=.inf", "scale is inf; input should be a finite number"),
        ("alignment", "scale=.nan", "scale is nan"),
        ("alignment", "keys=12", "keys is 12; keys has 12, a number; put it in quotes"),
        ("detection", "level=1.5", "level is 1.5"),
        ("detection", "suppress_above=-0.1", "suppress_above is -0.1"),
        ("detection", "templates=[a dog]", "allowed are name, article"),
        ("grounding", "split=3", "split is 3; input should be a valid string"),
        ("classification", "classes=[tench, goldfish]", "classes is .* valid string"),
    ],
)
def test_set_is_explained_for_the_task_it_is_for(task, assignment, said):
    with pytest.raises(InputError, match=said):
        from_assignments(options_of(task), [assignment])


def test_options_of_another_task_are_refused():
    with pytest.raises(
        InputError, match="options are DetectionOptions; task retrieval takes RetrievalOptions"
    ):
        check_options("retrieval", DetectionOptions())


@pytest.mark.parametrize(
    ("task", "options", "said"),
    [
        ("retrieval", {"gallery": 16}, "has 15 pairs, gallery asks for 16"),
        ("classification", {}, "names no class"),
        ("linear-probe", {}, "names no class"),
        ("detection", {}, "names no object"),
        ("detection", {"images": "here"}, "images is 'here', but data"),
        ("grounding", {"split": "val"}, "split is 'val', but data"),
    ],
)
def test_data_that_do_not_serve_are_refused_before_there_is_an_export(shards, task, options, said):
    with pytest.raises(InputError, match=said):
        check_data(task, shards, options)


@pytest.mark.parametrize("task", list(TASKS))
def test_data_that_are_not_there_are_refused_before_there_is_an_export(task, tmp_path):
    with pytest.raises(InputError, match="is not there"):
        check_data(task, str(tmp_path / "nowhere"))


@pytest.mark.parametrize("task", list(TASKS))
def test_every_option_is_described(task):
    fields = options_of(task).model_fields
    assert {"gallery", "batch_size", "device"} <= set(fields)
    assert all(field.description for field in fields.values())
    check_options(task)  # the defaults are allowed


def test_unknown_tasks_are_answered_with_the_nearest(export, shards):
    known = ", ".join(TASKS)
    with pytest.raises(
        InputError, match=f"task is 'retreival'; allowed are {known}; did you mean 'retrieval'"
    ):
        run_evaluation("retreival", export, shards)
    with pytest.raises(InputError, match=f"task is 'chess'; allowed are {known}; set --task"):
        options_of("chess")


def test_headlines_are_those_of_the_task():
    retrieval = {
        "task": "retrieval",
        "image_to_text": {"R@1": 0.5, "R@5": 0.75},
        "text_to_image": {"R@1": 0.25},
    }
    assert headline_numbers(retrieval) == {"image_to_text": 0.5, "text_to_image": 0.25}
    assert headline_numbers({"task": "chess", "won": 1.0}) == {}
