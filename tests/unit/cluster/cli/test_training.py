"""`loupe pretrain`, `reshard` and `export`: which settings reach the run; mistakes."""

import json

import pytest
from small_runs import sixteen_pairs, small_run

from pipelines.shards.writer import write_shard


@pytest.fixture
def data(tmp_path):
    """A committed folder of 64 captions, enough for the checks before a run."""
    folder = tmp_path / "data"
    info = write_shard(str(folder / "00000.tar"), [(f"{n}", {"txt": b"a b c"}) for n in range(64)])
    (folder / "manifests").mkdir()
    outputs = [{"tar": "00000.tar", "samples": info.samples, "sha256": info.sha256}]
    (folder / "manifests" / "0.json").write_text(json.dumps({"outputs": outputs}))
    return str(folder)


def test_local_and_profile_are_overrides_after_those_of_the_user(loupe, monkeypatch, tmp_path, data):
    import pretrain.training.launch_local as launch_local

    plans = []

    def record(plan, report):
        plans.append(plan)
        report({"step": 1, "train/loss": 0.5, "train/images_per_second": 9.0, "data/wait_percent": 0.0})

    monkeypatch.setattr(launch_local, "run_local", record)
    words = ["pretrain", "icon_world", "--data", data, "--output", str(tmp_path / "run")]
    words += ["--local", "--profile", "--set", "workers.count=2", "--set", "seed=7", "--json"]
    code, out, errors = loupe(*words)
    assert code == 0, errors
    (plan,) = plans
    assert (plan.config.workers.count, plan.config.schedule.profile, plan.config.seed) == (1, True, 7)
    result = json.loads(out)
    assert (result["steps"], result["train/loss"]) == (plan.total_steps, 0.5)
    assert "starting workers" not in errors


def test_a_finished_run_is_said_to_be_finished_and_nothing_starts(loupe, tmp_path):
    from pretrain.training.launch_local import run_local

    run = small_run(sixteen_pairs(tmp_path / "pairs"), tmp_path / "run", {"steps": 2, "log_every": 1})
    run_local(run, lambda _: None)
    (tmp_path / "recipe.yaml").write_text(json.dumps(run.config.model_dump(mode="json")))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    words = ["pretrain", str(tmp_path / "recipe.yaml"), "--data", run.data[0], "--output", run.folder]
    code, out, errors = loupe(*words, "--json")  # without --local: Ray is not started
    assert (code, errors.count("\n")) == (0, 1), errors
    assert f"{run.folder} is finished (2 of 2 steps)" in errors
    result = json.loads(out)
    assert (result["steps"], result["step"]) == (2, 2)
    assert result["train/loss"] > 0
    folders = {tmp_path / "run"}
    assert {
        path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path not in folders
    } == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("reshard", "nowhere", "--world-size", "2"), "nowhere"),
        (("export", "nowhere", "--output", "out", "--format", "onxx"), "format is 'onxx'; allowed are"),
    ],
)
def test_mistakes_are_one_line(loupe, monkeypatch, tmp_path, words, says):
    monkeypatch.chdir(tmp_path)
    code, _, errors = loupe(*words)
    assert (code, errors.count("\n")) == (2, 1)
    assert says in errors
