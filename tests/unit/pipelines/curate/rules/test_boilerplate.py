"""The list of the rule: shipped, one's own, and what is refused."""

import hashlib

import pyarrow as pa
import pytest

from data_filters.errors import InputError
from pipelines.curate.rules.boilerplate import BoilerplateRule


def test_a_phrase_fails():
    table = pa.table({"boilerplate": ["", "click here", None]})
    rule = BoilerplateRule()
    rule.check()
    assert rule.fails(table).tolist() == [False, True, True]
    assert rule.values(table) == ["", "click here", None]


def test_the_groups_settings_follow_ones_own_list(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("\ufeffbuy now\n", encoding="utf-8")
    (own,) = BoilerplateRule(file=str(path)).groups()
    (shipped,) = BoilerplateRule().groups()
    assert own.phrases == ("buy now",)
    assert own.settings() != shipped.settings()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert BoilerplateRule(file=str(path)).sources() == [{"path": str(path), "sha256": digest, "entries": 1}]
    assert BoilerplateRule().sources() == []


@pytest.mark.parametrize(
    ("data", "message"), [(None, "cannot be read"), (b"\n", "no phrase"), (b"\xff", "no UTF-8")]
)
def test_a_list_that_cannot_be_used_is_refused_in_one_line(tmp_path, data, message):
    path = tmp_path / "list.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=message) as raised:
        BoilerplateRule(file=str(path)).check()
    assert "\n" not in str(raised.value)
