"""Both engines can be called in the same way."""

import inspect

import pytest

from pipelines.curate.corpus.engine import Engine
from pipelines.curate.corpus.in_process import InProcess
from pipelines.curate.corpus.on_ray import OnRay


@pytest.mark.parametrize("engine", [InProcess, OnRay])
@pytest.mark.parametrize("name", ["run", "drops"])
def test_an_engine_has_the_methods_of_the_protocol(engine, name):
    assert inspect.signature(getattr(engine, name)) == inspect.signature(getattr(Engine, name))
