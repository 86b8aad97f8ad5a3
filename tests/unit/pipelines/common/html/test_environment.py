"""Templates escape what they are given, refuse what they are not given, and find those of the kit."""

import subprocess
import sys

import pytest
from jinja2 import TemplateNotFound, UndefinedError
from markupsafe import Markup

from pipelines.common.html.environment import environment, joined, part, render

EVIL = """<img src=x onerror="alert('1')"> & more"""


def test_values_are_escaped_and_markup_is_not():
    template = environment().from_string('<p title="{{ text }}">{{ text }}</p>{{ safe }}')
    page = template.render(text=EVIL, safe=Markup("<b>x</b>"))
    assert "<img" not in page
    assert page.endswith("<b>x</b>")
    # Escaped by hand: the five characters that mean something in HTML.
    escaped = EVIL.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = escaped.replace('"', "&#34;").replace("'", "&#39;")
    assert page.count(escaped) == 2


def test_an_undefined_name_is_an_error():
    with pytest.raises(UndefinedError, match="captoin"):
        environment().from_string("{{ captoin }}").render(caption="a")


def test_a_package_has_its_own_templates_and_those_of_the_kit():
    own = environment("pipelines.phrases")
    assert own.get_template("captions.html").name == "captions.html"
    assert own.get_template("parts.html").name == "parts.html"
    with pytest.raises(TemplateNotFound):
        environment().get_template("captions.html")


def test_parts_and_templates_are_markup():
    assert isinstance(part("parts.html", "quiet", "a"), Markup)
    assert isinstance(render("pipelines.phrases", "captions.html", captions=[]), Markup)


def test_joining_leaves_out_what_is_empty():
    assert joined([Markup("<p>a</p>"), Markup(""), Markup("<p>b</p>")]) == "<p>a</p>\n<p>b</p>"
    assert not joined([])
    assert isinstance(joined([]), Markup)


def test_the_kit_loads_neither_ray_nor_torch_nor_a_stage():
    code = (
        "import sys, pipelines.common.html.page, pipelines.common.html.charts, pipelines.common.html.settings; "
        "heavy = {'ray', 'torch', 'pyarrow', 'pipelines.shards', 'pipelines.curate'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
