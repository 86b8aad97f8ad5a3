"""The error for the user: what its callers may rely on."""

from __future__ import annotations

import ast
import json
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from data_filters import errors, get_filter
from data_filters.errors import InputError

ROOT = Path(errors.__file__).parents[1]


def raised_calls() -> list[tuple[str, ast.Call]]:
    """Every call of InputError in the four packages, with its place "file:line"."""
    files = [
        path
        for part in ("data_filters", "pipelines", "pretrain", "cluster")
        for path in (ROOT / part).rglob("*.py")
    ]
    return [
        (f"{path.relative_to(ROOT)}:{node.lineno}", node)
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "InputError"
    ]


def test_the_module_loads_no_other_module() -> None:
    """A fresh interpreter without site-packages has the same modules before and after."""
    code = (
        "import sys, json; source = open(sys.argv[1], encoding='utf-8').read(); before = set(sys.modules); "
        "exec(compile(source, 'errors', 'exec'), {'__name__': 'errors'}); "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, errors.__file__], capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout) == []


def test_a_pydantic_validator_that_raises_it_names_the_field() -> None:
    class Options(BaseModel):
        level: str

        @field_validator("level")
        @classmethod
        def known(cls, value: str) -> str:
            raise InputError(f"level is {value!r}; allowed is base; set level")

    with pytest.raises(ValidationError) as error:
        Options(level="top")
    (problem,) = error.value.errors()
    assert problem["loc"] == ("level",)
    assert "level is 'top'; allowed is base; set level" in problem["msg"]


def test_it_crosses_a_process_unchanged() -> None:
    """Workers of a pool raise it in their process; the user reads it in the first one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(InputError) as error:
        pool.submit(get_filter, "smal_image").result()
    with pytest.raises(InputError) as here:
        get_filter("smal_image")
    assert str(error.value) == str(here.value)
    copied = pickle.loads(pickle.dumps(here.value))
    assert (type(copied), copied.args) == (InputError, here.value.args)


def test_every_place_that_raises_it_gives_one_message_of_one_line() -> None:
    calls = raised_calls()
    assert len(calls) > 100
    for place, call in calls:
        assert len(call.args) == 1, place
        assert not call.keywords, place
        texts = [part.value for part in ast.walk(call) if isinstance(part, ast.Constant)]
        assert not [text for text in texts if isinstance(text, str) and "\n" in text], place


def test_the_message_of_an_unknown_name_says_received_known_and_where_to_mend() -> None:
    with pytest.raises(InputError) as error:
        get_filter("smal_image")
    received, known, mend = str(error.value).split("; ")
    assert "'smal_image'" in received
    assert "small_image" in known
    assert "recipe" in mend
