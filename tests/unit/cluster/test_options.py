"""`--set` against a function's own keyword arguments."""

import pytest

from cluster.options import keyword_options
from data_filters.errors import InputError


def task(export, *, proposals=None, count: int = 1, device="cpu"):
    """Stands for an evaluation."""


def test_values_are_yaml():
    sets = ["proposals=pixel", "count=3"]
    assert keyword_options(task, sets, {"device"}) == {"proposals": "pixel", "count": 3}
    assert keyword_options(task, None, set()) == {}


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("propsals=pixel", "did you mean proposals"),
        ("export=x", "unknown key export"),
        ("device=cuda", "unknown key device; known are count, proposals"),
        ("count", "is no assignment"),
        ("count=[1", "no YAML"),
    ],
)
def test_mistakes_are_named(assignment, says):
    with pytest.raises(InputError, match=says):
        keyword_options(task, [assignment], {"device"})
