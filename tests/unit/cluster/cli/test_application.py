"""Exit codes and errors: bad input is one clear line, exit code 2, nothing written or changed."""

import json
import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from cluster import cli
from data_filters import FILTERS
from data_filters.errors import InputError
from pipelines.shards.writer import write_shard


def run(monkeypatch, capsys, *words: str) -> tuple[int, str]:
    """Exit code and standard error of `loupe WORDS`."""
    monkeypatch.setattr(sys, "argv", ["loupe", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code or 0, capsys.readouterr().err


def everything(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def ground(tmp_path: Path, monkeypatch) -> Path:
    """A folder with every kind of wrong input, as the working directory."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "pairless").mkdir()
    with tarfile.open(tmp_path / "pairless" / "00000.tar", "w") as tar:
        (tmp_path / "note.md").write_text("no pair")
        tar.add(tmp_path / "note.md", "note.md")
    committed = tmp_path / "committed"
    info = write_shard(str(committed / "00000.tar"), [(f"{n}", {"txt": b"a b c"}) for n in range(4)])
    (committed / "manifests").mkdir()
    outputs = [{"tar": "00000.tar", "samples": info.samples, "sha256": info.sha256}]
    (committed / "manifests" / "0.json").write_text(json.dumps({"outputs": outputs}))
    (tmp_path / "otherrun").mkdir()
    (tmp_path / "otherrun" / "config.json").write_text(json.dumps({"config_hash": "feedfacefeedface"}))
    (tmp_path / "bad.yaml").write_text("modle: {}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


CURATE = ("curate", "icon_world", "--output", "out", "--input")
PRETRAIN = ("pretrain", "icon_world", "--output", "out", "--data")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((*CURATE, "nowhere"), "nowhere"),
        ((*CURATE, "empty"), "empty"),
        ((*CURATE, "pairless"), "pair"),
        ((*CURATE, "committed", "--set", "min_sid=3"), "did you mean min_side"),
        (("curate", "icon_wrld", "--input", "committed", "--output", "out"), "did you mean icon_world"),
        (
            ("pretrain", "bad.yaml", "--data", "committed", "--output", "out"),
            "unknown key modle; did you mean model",
        ),
        ((*PRETRAIN, "nowhere"), "nowhere"),
        ((*PRETRAIN, "empty"), "empty"),
        ((*PRETRAIN, "committed"), "data.batch_size is 64, the data has 4 samples"),
        ((*PRETRAIN, "committed", "--set", "engine.zero_stage=4"), "engine.zero_stage is 4"),
        (
            (*PRETRAIN, "committed", "--set", "data.batch_size=3"),
            "multiple of workers.count × data.accumulation = 2",
        ),
        (
            (*PRETRAIN, "committed", "--set", "objectives.contrast.weight=1"),
            "did you mean objectives.contrastive?",
        ),
        ((*PRETRAIN, "committed", "--set", "tokenizer=/no/such"), "tokenizer is '/no/such'"),
        (
            (
                "pretrain",
                "icon_world",
                "--data",
                "committed",
                "--output",
                "otherrun",
                "--set",
                "data.batch_size=4",
            ),
            "config.json is not understood",
        ),
        (
            (
                "pretrain",
                "icon_world",
                "--data",
                "committed",
                "--output",
                "empty/../pairless",
                "--set",
                "data.batch_size=2",
            ),
            "not empty and holds no run",
        ),
        (("export", "nowhere", "--output", "out"), "nowhere"),
        (("export", "otherrun", "--output", "out"), "otherrun"),
        (("evaluate", "nowhere", "--data", "committed", "--output", "out"), "nowhere"),
        (
            ("evaluate", "nowhere", "--data", "committed", "--output", "out", "--task", "retreival"),
            "task is 'retreival'",
        ),
        (("world", "--output", "out", "--pairs", "0"), "pairs"),
        (("evaluate", "nowhere", "--data", "committed", "--output", "s3://x/y"), "--output is 's3://x/y'"),
        (("export", "otherrun", "--output", "s3://x/y"), "--output is 's3://x/y'"),
        (("report", "otherrun", "--output", "memory://page.html"), "--output is 'memory://page.html'"),
        (("demo", "--output", "gs://x"), "allowed are local paths"),
        (
            ("ablate", "icon_world", "--data", "committed", "--world", "empty", "--output", "s3://x"),
            "copy the results afterwards",
        ),
        (("pretrain", "icon_world", "--data", "committed", "--output", "s3://x"), "--output is 's3://x'"),
        (
            (*CURATE, "committed", "--set", "filters=[small]"),
            f"unknown filter 'small'; known are {', '.join(FILTERS)}, formats; give another --set filters=",
        ),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_line_and_changes_nothing(words, says, ground, monkeypatch, capsys):
    before = everything(ground)
    code, errors = run(monkeypatch, capsys, *words)
    lines = [line for line in errors.splitlines() if line.startswith("loupe: ")]
    assert code == 2, errors
    assert len(lines) == 1
    assert says in lines[0]
    assert "Traceback" not in errors
    assert everything(ground) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("frob",), "loupe: No such command 'frob'; see loupe --help"),
        (("recipes", "frob"), "loupe: No such command 'frob'; see loupe recipes --help"),
        (("curate", "r", "--frob"), "loupe: No such option: --frob"),
        (("export", "run"), "loupe: Missing option '--output'"),
        (("curate",), "loupe: Missing argument 'recipe'"),
        (("world", "--pairs", "x", "--output", "o"), "loupe: Invalid value for '--pairs': "),
        (
            ("curate", "r", "s", "--input", "i", "--output", "o"),
            "loupe: Got unexpected extra argument(s) (s)",
        ),
        (("curate", "r", "--input"), "loupe: Option '--input' requires an argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_words_are_one_line(words, says, monkeypatch, capsys):
    code, errors = run(monkeypatch, capsys, *words)
    assert (code, errors.count("\n")) == (2, 1), errors
    assert errors.startswith(says)
    assert "--help" in errors


@pytest.mark.parametrize("words", [(), ("recipes",)])
def test_without_a_command_the_help_is_shown(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["loupe", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    captured = capsys.readouterr()
    assert stopped.value.code == 2
    assert "Usage: loupe" in captured.out + captured.err


def test_a_failure_that_is_not_the_users_is_exit_code_1(monkeypatch, capsys, ground):
    import pretrain.export as exporting

    def fail(*_: str, **__: str | None) -> None:
        raise OSError("disk full")

    monkeypatch.setitem(exporting.FORMATS, "huggingface", fail)
    code, errors = run(monkeypatch, capsys, "export", "otherrun", "--output", "out")
    assert code == 1
    assert "the run failed: OSError: disk full" in errors


def test_help_needs_no_heavy_import():
    probe = (
        "import sys; sys.argv = ['loupe', '--help']\n"
        "from cluster.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'ray', 'transformers', 'pyarrow', 'spacy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, env=os.environ, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("curate", "pretrain", "export", "evaluate", "demo", "world", "recipes"):
        assert command in done.stdout


def test_the_version_is_that_of_the_project():
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
    done = subprocess.run(
        [sys.executable, "-m", "cluster.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"loupe {project['version']}\n"


def test_an_input_error_that_caused_another_error_is_the_users(monkeypatch, capsys, ground):
    import pretrain.export as exporting

    def fail(*_: str, **__: str | None) -> None:
        try:
            raise InputError("width is 3; allowed are 8 and more")
        except InputError as error:
            raise RuntimeError("a worker failed") from error

    monkeypatch.setitem(exporting.FORMATS, "huggingface", fail)
    code, errors = run(monkeypatch, capsys, "export", "otherrun", "--output", "out")
    assert (code, errors) == (2, "loupe: width is 3; allowed are 8 and more\n")


def test_verbose_shows_the_traceback(monkeypatch, capsys, ground):
    code, errors = run(monkeypatch, capsys, "-v", "export", "nowhere", "--output", "out")
    assert code == 2
    assert "Traceback" in errors
