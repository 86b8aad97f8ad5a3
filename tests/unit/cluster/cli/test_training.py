"""`loupe pretrain`, `reshard` and `export`: which settings reach the run; mistakes."""

import json

import pytest

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
