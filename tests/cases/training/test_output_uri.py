"""`--output` as a URI: refused in one line by every command that writes to local folders, and nothing is written."""

import sys
from functools import partial

import pytest
from small_runs import sixteen_pairs, small_recipe

from cluster import cli
from cluster.ablation.plan import AblationPlan
from cluster.ablation.run import run_ablation
from cluster.demo import run_demo
from data_filters.errors import InputError
from pretrain.data.shards.source import CacheOptions
from pretrain.evaluation.runner import run_evaluation
from pretrain.export import FORMATS
from pretrain.training.setup import prepare_run

COMMANDS = {
    "pretrain": ["icon_world", "--data", "data", "--local"],
    "export": ["run"],
    "evaluate": ["export", "--data", "data"],
    "report": ["run"],
    "demo": [],
    "ablate": ["icon_world", "--data", "data", "--world", "world"],
    "curate": ["icon_world", "--input", "data"],
    "phrases": ["--input", "data"],
    "world": ["--pairs", "1"],
}
BOTH = ("curate", "phrases", "world")
"""Commands that write to any storage."""


@pytest.fixture
def loupe(tmp_path, monkeypatch, capsys):
    """Function: the words of a command → (exit code, standard error), in an empty folder that stays empty."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["loupe", *words])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert list(tmp_path.iterdir()) == []
        return int(stopped.value.code or 0), capsys.readouterr().err

    return run


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "output", ["s3://bucket/run", "gs://bucket/x", "nowhere://x", "s3:/bucket/run", "memory:/x"]
)
def test_what_cannot_be_written_is_refused(loupe, command, output):
    code, errors = loupe(command, *COMMANDS[command], "--output", output)
    assert (code, errors.count("\n")) == (2, 1), errors
    assert output in errors


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in BOTH])
def test_other_storage_is_refused_where_results_are_local(loupe, command):
    code, errors = loupe(command, *COMMANDS[command], "--output", "memory://x")
    assert (code, errors.count("\n")) == (2, 1)
    assert "--output is 'memory://x'; allowed are local paths" in errors


@pytest.mark.parametrize("command", COMMANDS)
def test_outputs_that_are_files_or_below_files_are_refused(loupe, command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "file").write_text("")
    for output in ([folder / "file" / "x"], [folder / "file"])[: 1 if command == "report" else 2]:
        code, errors = loupe(command, *COMMANDS[command], "--output", str(output[0]))
        assert (code, errors.count("\n")) == (2, 1), errors
        assert "file is a file" in errors


def test_a_file_uri_is_the_local_path(loupe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "file").write_text("")
    _, errors = loupe("export", "run", "--output", f"file://{folder}/file")
    assert f"output {folder}/file is a file" in errors


def test_python_is_refused_too(tmp_path, monkeypatch):
    data = sixteen_pairs(tmp_path / "data")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    calls = [
        lambda: prepare_run(small_recipe({}), data, "s3://b/run"),
        lambda: run_evaluation("retrieval", "export", data, "s3://b/run"),
        lambda: run_demo("s3://b/run", pairs=1, seed=0, sets=[]),
        lambda: run_ablation(AblationPlan.model_construct(rows={}), data, "memory://w", "s3://b/run"),
        *(partial(export, "run", "s3://b/run") for export in FORMATS.values()),
    ]
    for call in calls:
        with pytest.raises(InputError, match=r"output is 's3://b/run'; allowed are local paths"):
            call()
    with pytest.raises(InputError, match=r"data.cache_folder is 's3://b/run'; allowed are local paths"):
        CacheOptions(folder="s3://b/run").open()
    assert list((tmp_path / "here").iterdir()) == []
