"""Headers of weights against the library that writes them. What is refused: `rules/test_matching.py`."""

import struct

import pytest
from safetensors import safe_open
from tiny_matching import ENCODE, tiny_matching, tiny_model

from data_filters.errors import InputError
from pipelines.curate.look.matching_folder import (
    check_matching_folder,
    expected_tensors,
    first_token_id,
    image_size,
    load_parts,
    tensor_names,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_matching(tmp_path_factory.mktemp("blip"))


def test_names_are_those_that_the_library_reads_and_the_model_has(folder):
    with safe_open(f"{folder}/model.safetensors", "pt") as file:
        names = set(file.keys())
    assert tensor_names(f"{folder}/model.safetensors") == names
    assert expected_tensors(folder) == {name for name, _ in tiny_model().named_parameters()} <= names


def test_weights_in_several_files_are_taken(folder, tmp_path):
    split = tmp_path / "split"
    tiny_matching(split)
    (split / "model.safetensors").unlink()
    tiny_model().save_pretrained(split, max_shard_size="10KB")
    assert len(list(split.glob("model-*.safetensors"))) > 1
    check_matching_folder(str(split), allow_pickle=False)
    next(split.glob("model-00001*.safetensors")).unlink()
    with pytest.raises(InputError, match=r"whose weights lack \d+ tensors"):
        check_matching_folder(str(split), allow_pickle=False)


@pytest.mark.parametrize("content", [b"", b"1234", struct.pack("<Q", 9) + b"[1, 2, 3]", bytes(100)])
def test_a_file_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is no file of safetensors") as caught:
        tensor_names(str(path))
    assert "\n" not in str(caught.value)


def test_side_and_first_token(folder):
    _, tokenizer = load_parts(folder)
    assert image_size(folder) == 32
    assert first_token_id(folder, "[CLS]", tokenizer) is None
    assert first_token_id(folder, ENCODE, tokenizer) == 17
    with pytest.raises(InputError, match="first token '\\[X\\]'"):
        first_token_id(folder, "[X]", tokenizer)
