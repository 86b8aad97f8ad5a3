"""The folder of an export comes into place whole or not at all."""

import pytest

from pretrain.export.target import new_folder


def test_a_folder_appears_at_the_end_and_replaces_the_earlier_one(tmp_path):
    target = tmp_path / "below" / "export"
    with new_folder(target) as partial:
        (partial / "first").write_text("")
        assert not target.exists()
    with new_folder(target) as partial:
        (partial / "second").write_text("")
        assert [path.name for path in target.iterdir()] == ["first"]
    assert [path.name for path in target.iterdir()] == ["second"]
    assert [path.name for path in target.parent.iterdir()] == ["export"]


def test_after_an_error_nothing_is_left_and_the_earlier_export_stays(tmp_path):
    target = tmp_path / "export"
    with new_folder(target) as partial:
        (partial / "first").write_text("")

    def differs() -> None:
        with new_folder(target) as partial:
            (partial / "second").write_text("")
            raise RuntimeError("differs")

    with pytest.raises(RuntimeError, match="differs"):
        differs()
    assert [path.name for path in target.iterdir()] == ["first"]
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
