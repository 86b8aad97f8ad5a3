"""Whatever JSON holds, without line breaks in texts, stands on one line and is read back."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.yaml_line import yaml_line

TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_every_value_is_read_back_from_one_line(value):
    text = yaml_line(value)
    assert "\n" not in text
    assert yaml.safe_load(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("plain words", "plain words"),
        ("0.5", "'0.5'"),
        ("größer", "größer"),
        ({"b": [1, 2.5], "a": {}}, "{b: [1, 2.5], a: {}}"),
        ("x " * 200, f"'{'x ' * 200}'"),
    ],
)
def test_by_hand(value, text):
    assert yaml_line(value) == text
