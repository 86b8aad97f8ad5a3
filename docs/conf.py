"""Configuration of the documentation: `make docs` builds it with warnings as errors."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parent
for folder in ("results", "plots"):  # links between pages work only inside the folder of the documentation
    shutil.rmtree(HERE / folder, ignore_errors=True)
    shutil.copytree(HERE.parent / "tests" / "bench" / folder, HERE / folder)
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

project = "loupe"
author = "the loupe authors"
copyright = "the loupe authors, Apache-2.0"

extensions = ["myst_parser", "command_line", "recipe_keys", "registry"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_ext"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
highlight_language = "text"

html_theme = "furo"
html_title = "loupe"
html_static_path = ["_static"]
html_css_files = ["loupe.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False


def setup(app: Sphinx) -> None:
    """Let links to the results lead to their copies: in the repository they lead to the files themselves."""
    app.connect("source-read", point_to_copies)


def point_to_copies(app: Sphinx, page: str, source: list[str]) -> None:
    """Change the links of a page at the top of the documentation; `source` holds its text."""
    source[0] = source[0].replace("](../tests/bench/results/", "](results/")
