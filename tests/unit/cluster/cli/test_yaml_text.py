"""Values as YAML: read back as the same, lists of plain values on one line."""

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.cli.yaml_text import yaml_text

plain = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab 1:#-é", max_size=9)
)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b_c", "d"]), values))
def test_it_is_read_back_as_the_same(mapping):
    assert yaml.safe_load(yaml_text(mapping, 80)) == mapping


def test_the_layout_is_that_of_the_recipes():
    text = yaml_text({"model": {"depths": [2, 6], "text": {"width": 8}}, "rows": [{"a": 1}]}, 80)
    assert text == "model:\n  depths: [2, 6]\n  text:\n    width: 8\nrows:\n- a: 1\n"
