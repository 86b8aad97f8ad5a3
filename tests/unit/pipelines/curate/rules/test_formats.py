"""Formats that are kept."""

import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipelines.curate.rules.formats import FormatsRule


def test_others_fail_and_so_does_a_missing_one():
    table = pa.table({"format": ["jpeg", "gif", "png", None, "webp", "tiff"]})
    rule = FormatsRule()
    assert rule.fails(table).tolist() == [False, True, False, True, False, True]
    assert rule.values(table) == ["jpeg", "gif", "png", None, "webp", "tiff"]
    assert FormatsRule(allow=("gif",)).fails(table).tolist() == [True, False, True, True, True, True]
    assert (rule.words(), rule.limit()) == ("keeps: jpeg, png, webp", "jpeg, png, webp")


@pytest.mark.parametrize("allow", [(), ("heic",)])
def test_no_format_and_unknown_ones_are_refused(allow):
    with pytest.raises(ValidationError):
        FormatsRule(allow=allow)
