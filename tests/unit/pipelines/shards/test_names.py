"""Which names are safe."""

import pytest

from pipelines.shards.names import fault_of_name, printable


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a.jpg", None),
        ("./d.v1/żółw 1%.seg.png", None),
        ("a..b/..c.txt", None),
        ("../a.jpg", "a part `..`"),
        ("d/../a.jpg", "a part `..`"),
        ("/a.jpg", "a slash in front"),
        ("d\\a.jpg", "a backslash"),
        ("a\0.jpg", "a NUL character"),
        ("caf\udce9.jpg", "bytes that are not UTF-8"),
    ],
)
def test_faults_by_hand(name, fault):
    assert fault_of_name(name) == fault


def test_what_utf8_cannot_hold_is_escaped():
    assert printable("caf\udce9 ż") == "caf\\udce9 ż"
