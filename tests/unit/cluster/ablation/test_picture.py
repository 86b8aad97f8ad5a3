"""The picture of an ablation against coordinates worked out by hand."""

import xml.etree.ElementTree as ElementTree

import pytest

from cluster.ablation.picture import (
    ABOVE,
    ACROSS,
    HEADER,
    LEFT_OUT,
    MARGIN,
    PANEL,
    PITCH,
    TITLES,
    VALUES,
    draw_table,
)
from cluster.ablation.table import Column, Line, Table

SVG = "{http://www.w3.org/2000/svg}"
RECALL = Column("retrieval", "test", "text_to_image.R@1")
EVIL = """</svg><script>alert("1")</script> & 'x'"""


def draw(*lines: Line, columns: tuple[Column, ...] = (RECALL,), title: str = "t") -> ElementTree.Element:
    return ElementTree.fromstring(draw_table(Table(title, columns, lines)))


def row(values: dict[int, float], title: str = "row", kind: str = "row") -> Line:
    return Line("r", title, kind, {RECALL: values})


def test_a_bar_reaches_from_zero_to_the_mean():
    root = draw(row({0: 0.25, 1: 0.75}), row({0: 1.0, 1: 1.0}))
    bars = [group.find(f"{SVG}rect") for group in root.iter(f"{SVG}g")]
    # The axis ends at 1: a mean of 0.5 is half of it.
    assert [float(bar.get("width")) for bar in bars] == [PANEL / 2, PANEL]
    assert [float(bar.get("x")) for bar in bars] == [TITLES, TITLES]
    first = HEADER + ABOVE
    assert [float(bar.get("y")) for bar in bars] == [first + 4, first + PITCH + 4]


def test_dots_stand_at_their_values_one_below_the_other():
    root = draw(row({5: 1.0, 0: 0.5}))
    dots = [(float(dot.get("cx")), float(dot.get("cy")), dot[0].text) for dot in root.iter(f"{SVG}circle")]
    middle = HEADER + ABOVE + PITCH / 2
    assert dots == [
        (TITLES + PANEL / 2, middle - 2.5, "seed 0: 0.5"),
        (TITLES + PANEL, middle + 2.5, "seed 5: 1"),
    ]
    numbers = [text for text in root.iter(f"{SVG}text") if text.text == "0.750"]
    assert [float(text.get("x")) for text in numbers] == [TITLES + PANEL + 7]  # right of the furthest dot


def test_yardsticks_are_lines_and_no_rows():
    root = draw(row({0: 0.5}), row({0: 1.0}, "chance", "yardstick"))
    (dashed,) = root.iterfind(f".//{SVG}line[@class='yard']")
    assert float(dashed.get("x1")) == TITLES + PANEL
    assert dashed[0].text == "chance: 1"
    assert len(list(root.iter(f"{SVG}g"))) == 1
    assert any("dashed lines" in (text.text or "") for text in root.iter(f"{SVG}text"))
    alone = draw(row({0: 0.5}))
    assert not any("dashed lines" in (text.text or "") for text in alone.iter(f"{SVG}text"))


def test_panels_go_on_below_and_the_costs_of_the_processor_are_left_out():
    columns = [Column("retrieval", str(split), "text_to_image.R@1") for split in range(ACROSS + 1)]
    cost = Column("", "", LEFT_OUT)
    line = Line("r", "row", "row", {column: {0: 0.5} for column in [*columns, cost]})
    root = draw(line, columns=(*columns, cost))
    places = [(float(bar.get("x")), float(bar.get("y"))) for bar in root.iterfind(f".//{SVG}g/{SVG}rect")]
    assert len(places) == ACROSS + 1
    assert places[-1][0] == places[0][0]
    assert places[-1][1] > places[0][1]
    assert root.get("viewBox").split()[2] == str(TITLES + ACROSS * (PANEL + VALUES) + MARGIN)


@pytest.mark.parametrize("where", ["title", "row", "yardstick"])
def test_texts_are_escaped(where):
    lines = [row({0: 0.5}, EVIL if where == "row" else "row")]
    lines += [row({0: 0.5}, EVIL, "yardstick")] if where == "yardstick" else []
    root = draw(*lines, title=EVIL if where == "title" else "t")
    assert not list(root.iter(f"{SVG}script"))
    assert EVIL in "".join(root.itertext())


def test_nothing_to_draw_is_nothing():
    assert draw_table(Table("t", (RECALL,), ())) == ""
    assert draw_table(Table("t", (Column("", "", LEFT_OUT),), (row({0: 1.0}),))) == ""
