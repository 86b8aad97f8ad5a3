import subprocess
import sys

import pytest

from cluster import cli
from data_filters.errors import InputError
from pretrain.export import FORMATS, get_format


def test_known_formats_are_found_and_others_named():
    assert set(FORMATS) == {"huggingface", "open-clip", "onnx"}
    assert get_format("huggingface") is FORMATS["huggingface"]
    with pytest.raises(InputError, match="format is 'tensorrt'; allowed are huggingface, open-clip, onnx"):
        get_format("tensorrt")


def test_the_command_says_which_formats_there_are(monkeypatch, capsys, tmp_path):
    words = ["loupe", "export", "run", "--output", str(tmp_path / "out"), "--format", "tensorrt"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("loupe: ")]
    assert said == [
        "loupe: format is 'tensorrt'; allowed are huggingface, open-clip, onnx; set --format to one of them"
    ]


def test_the_command_writes_the_named_format(monkeypatch, capsys, tmp_path, run_and_encoder):
    run, _ = run_and_encoder
    if run_and_encoder[1].vision_model.config.model_type != "swin":
        pytest.skip("open_clip has no place for this ViT")
    output = tmp_path / "out"
    monkeypatch.setattr(
        sys, "argv", ["loupe", "export", str(run), "--output", str(output), "--format", "open-clip", "--json"]
    )
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code
    assert '"format": "open-clip"' in capsys.readouterr().out
    assert (output / "open_clip_config.json").is_file()


def test_the_menu_is_light():
    code = "import sys, pretrain.export; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_nearest_format_is_named():
    with pytest.raises(InputError, match="did you mean 'open-clip'"):
        get_format("openclip")
