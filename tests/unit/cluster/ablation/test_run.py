"""A whole ablation, small: real trainings in their own processes, a branch, a failure, resuming, refusals."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cluster import cli
from cluster.ablation.cell_process import run_cell
from cluster.ablation.cells import check_folder, check_rows, make_cells
from cluster.ablation.plan import AblationPlan
from cluster.ablation.run import run_ablation
from data_filters.errors import InputError
from pipelines.icon_world import render_world
from pretrain.training.metrics import read_metrics

PLAN = {
    "title": "Tiny",
    "base": "icon_world",
    "common": {
        "model": {
            "projection_dim": 16,
            "image": {
                "kind": "swin",
                "image_size": 64,
                "width": 16,
                "depths": [2, 2],
                "heads": [2, 2],
                "window": 4,
            },
            "text": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32},
        },
        "supervision": {"regions": 2, "head_width": 8, "budget": 1, "evaluations": 12},
        "data": {"batch_size": 8},
        "schedule": {"steps": 4, "log_every": 1, "checkpoint_every": 3, "keep_checkpoints": 2},
    },
    "shared_start": "backbone",
    "rows": {
        "tsa": {
            "title": "+ TSA",
            "start": {"steps": 2},
            "overrides": {"objectives": {"contrastive": {"weight": 1.0}, "token_semantics": {"weight": 1.0}}},
        },
        "backbone": {"title": "Backbone"},
    },
    "evaluations": [{"name": "retrieval", "task": "retrieval", "options": {"gallery": 8}}],
}
GROUNDING = {
    "name": "grounding",
    "task": "grounding",
    "split": "unseen",
    "options": {"gallery": 4, "evaluations": 4},
}
NO_HEAD = {"name": "regions", "task": "detection", "options": {"proposals": "regions"}}


def plan(**changes) -> AblationPlan:
    return AblationPlan.model_validate(PLAN | changes)


def row(name: str, **changes) -> dict:
    return {"rows": PLAN["rows"] | {name: PLAN["rows"][name] | changes}}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Splits of 32, 8 and 8 pairs; those of training with the manifest that curation would leave."""
    folder = tmp_path_factory.mktemp("world")
    render_world(str(folder), 32, 0, image_size=64, test_pairs=8, unseen_pairs=8, workers=1)
    (folder / "train" / "manifests").mkdir()
    manifest = {"outputs": [{"tar": "00000.tar", "samples": 32, "sha256": "0" * 64}]}
    (folder / "train" / "manifests" / "all.json").write_text(json.dumps(manifest))
    return folder


def ablate(plan: AblationPlan, world: Path, output: Path, **how):
    return run_ablation(plan, str(world / "train"), str(world), str(output), **({"seeds": [5]} | how))


def times(folder: Path, *patterns: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for pattern in patterns for path in folder.glob(pattern)}


def cells_of(plan: AblationPlan, world: Path, output: Path):
    return make_cells(
        plan,
        check_rows(plan, str(world / "train"), output),
        str(world),
        output,
        list(plan.rows),
        [5],
    )


def test_an_ablation_from_start_to_table(world, tmp_path):
    """Two rows, the second a branch; then a further evaluation, a failing row, an interrupted one."""
    first = ablate(plan(), world, tmp_path).table
    assert [line.title for line in first.lines] == ["+ TSA", "Backbone"]
    backbone, tsa = (tmp_path / "rows" / name / "seed-5" for name in ("backbone", "tsa"))
    assert [line["step"] for line in read_metrics(backbone / "run")] == [1, 2, 3, 4]
    assert [line["step"] for line in read_metrics(tsa / "run")] == [3, 4]
    shared = backbone / "run" / "checkpoints" / "step-00000002"
    assert json.loads((tsa / "run" / "config.json").read_text())["config"]["start"] == {
        "weights": str(shared),
        "step": 2,
    }
    # The branch's first step is the backbone's third with something added: same pairs, same weights.
    mine, theirs = (read_metrics(cell / "run") for cell in (tsa, backbone))
    assert mine[0]["train/contrastive_loss"] == pytest.approx(theirs[2]["train/contrastive_loss"], rel=1e-5)
    document = json.loads((tmp_path / "ablation.json").read_text())
    metrics = json.loads((tsa / "evaluation" / "retrieval" / "metrics.json").read_text())
    cell = next(one for one in document["cells"] if one["row"] == "tsa")
    assert cell["evaluations"]["retrieval"]["scores"]["text_to_image.R@1"] == metrics["text_to_image"]["R@1"]
    assert (cell["training"]["own_steps"], cell["training"]["cpu_seconds_per_step"] > 0) == (2, True)

    # One more evaluation of the backbone and one that must fail; what is done stays as it is.
    done = ("rows/*/seed-5/export/*", "rows/*/seed-5/evaluation/retrieval.json")
    before = times(tmp_path, *done)
    wrong = NO_HEAD | {"task": "retrieval", "title": "elsewhere", "options": {"device": "abacus"}}
    more = {
        "backbone": PLAN["rows"]["backbone"] | {"evaluations": [GROUNDING]},
        "tsa": PLAN["rows"]["tsa"] | {"evaluations": [wrong]},
    }
    outcome = ablate(plan(rows=more), world, tmp_path, jobs=2)
    with pytest.raises(RuntimeError, match=r"1 failed \(tsa, seed 5: device is 'abacus'"):
        outcome.check()
    assert times(tmp_path, *done) == before
    assert "grounding@0.5" in (tmp_path / "ablation.md").read_text()
    assert "device is &#39;abacus&#39;" in (tmp_path / "ablation.html").read_text()

    # The branch as a kill after its third step leaves it: it goes on from there.
    last = tsa / "run" / "checkpoints" / "step-00000004"
    whole, log = load_file(last / "model.safetensors"), tsa / "run" / "metrics.jsonl"
    third, fourth = log.read_text().splitlines()
    shutil.rmtree(last)
    shutil.rmtree(tsa / "export")
    (tsa / "result.json").unlink()
    log.write_text(f"{third}\n")
    stopped = next(cell for cell in cells_of(plan(), world, tmp_path) if cell.row == "tsa")
    assert not stopped.is_done()
    assert not stopped.is_trained()
    stopped.claim()
    run_cell(tsa)
    assert stopped.is_done()
    assert log.read_text().splitlines()[0] == third
    assert json.loads(log.read_text().splitlines()[1])["train/loss"] == json.loads(fourth)["train/loss"]
    assert all(
        torch.equal(whole[name], value) for name, value in load_file(last / "model.safetensors").items()
    )

    # Nothing is left to do: no process starts, the table is the first one with what was added.
    assert {cell.name: cell.is_done() for cell in cells_of(plan(), world, tmp_path)} == {
        "backbone, seed 5": True,
        "tsa, seed 5": True,
    }
    again = ablate(plan(), world, tmp_path)
    again.check()
    retrieval = first.columns[0]
    assert [line.values[retrieval] for line in again.table.lines[:2]] == [
        line.values[retrieval] for line in first.lines
    ]

    # A file of finished cells stands for the folder: another output needs no training, and shows the same table. A row
    # that is new starts from a checkpoint that only the folder has, so that its start is trained again.
    file = tmp_path / "finished.jsonl"
    ablate(plan(), world, tmp_path, finished=str(file))
    assert [json.loads(line)["row"] for line in file.read_text().splitlines()] == ["backbone", "tsa"]
    elsewhere = ablate(plan(), world, tmp_path / "elsewhere", finished=str(file))
    assert elsewhere.table == again.table
    assert not (tmp_path / "elsewhere" / "rows").exists()
    longer = {"late": {"title": "late", "start": {"steps": 3}, "steps": 5}}
    compared = plan(rows=PLAN["rows"] | longer, compare=[["late", "tsa"]])
    later = ablate(compared, world, tmp_path / "elsewhere", finished=str(file))
    later.check()
    trained = {path.parent.name for path in (tmp_path / "elsewhere" / "rows").glob("*/seed-5")}
    assert trained == {"backbone", "late"}
    assert "late less + TSA" in (tmp_path / "elsewhere" / "ablation.md").read_text()
    assert len(file.read_text().splitlines()) == 4  # the start, trained again, took other seconds

    # Another plan in the same folder is refused, with what differs.
    with pytest.raises(
        InputError,
        match='started otherwise than row tsa is now: start is {"row": "backbone", "steps": 2} there, .*3} here',
    ):
        ablate(plan(**row("tsa", start={"steps": 3})), world, tmp_path)
    changed = [{"name": "retrieval", "task": "retrieval", "options": {"gallery": 4}}]
    with pytest.raises(InputError, match="holds evaluation retrieval as [0-9a-f]{16}, in this plan it is"):
        ablate(plan(evaluations=changed), world, tmp_path)


def test_cells_come_seed_by_seed_each_after_its_start_and_wait_for_it(world, tmp_path):
    cells = make_cells(
        plan(), check_rows(plan(), str(world / "train"), tmp_path), str(world), tmp_path, ["tsa"], [3, 1]
    )
    assert [cell.name for cell in cells] == [
        "backbone, seed 3",
        "tsa, seed 3",
        "backbone, seed 1",
        "tsa, seed 1",
    ]
    backbone, tsa = cells[:2]
    assert [cell.job["config"]["seed"] for cell in cells] == [3, 3, 1, 1]
    assert backbone.job["config"]["schedule"]["keep_steps"] == [2]
    assert backbone.can_start()
    assert not tsa.can_start()
    tsa.start.mkdir(parents=True)
    (tsa.start / "state.json").write_text('{"step": 1}')
    assert tsa.can_start()


def test_rows_that_are_not_wanted_may_be_unfinished(world, tmp_path):
    unfinished = plan(**row("tsa", overrides={"objectives": {"tsa": {}}}))
    assert list(check_rows(unfinished, str(world / "train"), tmp_path, ["backbone"])) == ["backbone"]
    with pytest.raises(InputError, match="row tsa: "):
        ablate(unfinished, world, tmp_path / "out", rows=["tsa"])


def test_titles_and_new_rows_and_machine_settings_change_no_identity(world, tmp_path):
    for cell in cells_of(plan(), world, tmp_path):
        cell.claim()
    slower = PLAN["common"] | {"schedule": PLAN["common"]["schedule"] | {"log_every": 2}}
    rows = PLAN["rows"] | {
        "tsa": PLAN["rows"]["tsa"] | {"title": "TSA, renamed"},
        "late": {"title": "late", "start": {"row": "tsa", "steps": 3}},
    }
    check_folder(cells_of(plan(title="Other", common=slower, rows=rows), world, tmp_path))
    longer = PLAN["common"] | {"schedule": PLAN["common"]["schedule"] | {"steps": 5}}
    with pytest.raises(InputError, match="schedule.steps is 4 there, 5 here"):
        check_folder(cells_of(plan(common=longer), world, tmp_path))


@pytest.mark.parametrize(
    ("changes", "how", "message"),
    [
        (
            row("tsa", overrides={"schedule.steps": 6}),
            {},
            r"train unequally long \(steps: backbone 4, tsa 6\)",
        ),
        (row("tsa", start={"steps": 4}), {}, "rows.tsa.start.steps is 4; allowed are 1 to 3, of 4 steps"),
        (row("tsa", overrides={"data.batch_size": 4}), {}, "differs from it in data.batch_size"),
        (
            row("tsa", overrides={"objectives": {"tsa": {}}}),
            {},
            "row tsa: .*unknown key objectives.tsa; known are contrastive",
        ),
        (
            {"evaluations": [{"name": "a", "task": "retrieval", "options": {"galery": 3}}]},
            {},
            "row backbone, evaluation a: .*unknown key galery; did you mean gallery",
        ),
        ({"evaluations": [{"name": "a", "task": "retreival"}]}, {}, "evaluation a: task is 'retreival'"),
        (
            {"evaluations": [NO_HEAD | {"options": {"proposals": "nonsense"}}]},
            {},
            "row backbone, evaluation regions: .*proposals is 'nonsense'; allowed are regions, answers",
        ),
        ({"evaluations": [{"name": "a", "task": "retrieval", "split": "test9"}]}, {}, "has no folder test9"),
        (
            {"evaluations": [{"name": "a", "task": "retrieval", "options": {"gallery": 9}}]},
            {},
            "row backbone, evaluation a: data '.*test' has 8 pairs, gallery asks for 9; give more data",
        ),
        (
            {"evaluations": [GROUNDING | {"options": {"split": "val"}}]},
            {},
            "row backbone, evaluation grounding: split is 'val', but data '.*unseen' are shards",
        ),
        ({}, {"rows": ["tsb"]}, "--rows has 'tsb'"),
        ({}, {"jobs": 0}, "jobs is 0"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(world, tmp_path, changes, how, message):
    with pytest.raises(InputError, match=message) as refused:
        ablate(plan(**changes), world, tmp_path / "out", **how)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_the_command_answers_bad_input_with_one_line(world, tmp_path, monkeypatch, capsys):
    words = [
        "ablate",
        "icon_world",
        "--data",
        str(world / "train"),
        "--output",
        str(tmp_path / "out"),
        "--world",
    ]
    for more, message in (
        ([str(tmp_path)], "has no folder test; give the output of `loupe world`"),
        ([str(world), "--seeds", "0,x"], "--seeds is '0,x'; give whole numbers"),
        ([str(world), "--set", "rows.tsa.titel=1"], "did you mean rows.tsa.title?"),
    ):
        monkeypatch.setattr(sys, "argv", ["loupe", *words, *more])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert not (tmp_path / "out").exists()
