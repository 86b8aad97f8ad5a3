"""Jinja2 templates: those of the kit, and those that a package keeps beside its own pages."""

from __future__ import annotations

from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipelines.common.html.pictures import embedded, jpeg_uri

KIT = "pipelines.common.html"


@cache
def environment(package: str = KIT) -> Environment:
    """The environment that finds templates in the folder `templates` of `package`, then in that of the kit.

    Values are escaped unless they are Markup, and a name that a template uses must be given: an undefined one raises
    `jinja2.UndefinedError`.
    """
    packages = dict.fromkeys([package, KIT])
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"embedded": embedded, "jpeg_uri": jpeg_uri, "px": "{:.1f}".format}
    return environment


def render(package: str, template: str, **values: object) -> Markup:
    """Render a template of `package` with these values."""
    return Markup(environment(package).get_template(template).render(values))


def part(template: str, macro: str, *arguments: object, **options: object) -> Markup:
    """Render one macro of a template of the kit."""
    module = environment().get_template(template).module
    return Markup(getattr(module, macro)(*arguments, **options))


def joined(parts: list[Markup]) -> Markup:
    """The parts one after the other."""
    return Markup("\n").join(part for part in parts if part)
