from typing import Annotated

import pytest
from pydantic import ValidationError

from pipelines.common.config import Section, output_settings
from pretrain.evaluation.options import EvaluationOptions, ExampleOptions, accepted_by, one_of

REGISTRY = {"a": 1, "b": 2}


def even_length(value):
    if len(value) % 2:
        raise ValueError("odd")


class Chosen(Section):
    name: Annotated[str | None, one_of(REGISTRY)] = None
    words: Annotated[str | tuple[str, ...], accepted_by(even_length)] = ()


def test_a_name_is_one_of_a_registry_as_it_is_now(monkeypatch):
    assert Chosen(name="a").name == "a"
    assert Chosen().name is None
    with pytest.raises(ValidationError, match="allowed are a, b"):
        Chosen(name="c")
    monkeypatch.setitem(REGISTRY, "c", 3)
    assert Chosen(name="c").name == "c"


def test_a_value_is_kept_as_it_was_given():
    assert Chosen(words=["x", "y"]).words == ("x", "y")
    assert Chosen(words="four").words == "four"
    with pytest.raises(ValidationError, match="odd"):
        Chosen(words="odd")


def test_machine_settings_decide_no_result():
    assert output_settings(EvaluationOptions(batch_size=3, device="cpu")) == {"gallery": None}
    assert output_settings(ExampleOptions(examples=1, gallery=4)) == {"gallery": 4}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"gallery": True}, "true and false are no value of this option"),
        ({"batch_size": 0}, "greater than or equal to 1"),
        ({"examples": -1}, "greater than or equal to 0"),
        ({"gallery": 1.5}, "valid integer"),
        ({"gallery": float("inf")}, "finite number"),
        ({"device": 0}, "valid string"),
    ],
)
def test_values_of_another_type_are_refused(values, said):
    with pytest.raises(ValidationError, match=said):
        ExampleOptions(**values)
