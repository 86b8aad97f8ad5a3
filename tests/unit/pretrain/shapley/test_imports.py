"""The package can be used by itself: it imports torch, jaxtyping and the errors, nothing else."""

import ast
import sys
from pathlib import Path

import pretrain.shapley

FOLDER = Path(pretrain.shapley.__file__).parent
ALLOWED = {"torch", "jaxtyping", "data_filters.errors"}


def imported_modules(file: Path) -> set[str]:
    """Every module that a file imports, also inside functions and under TYPE_CHECKING."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} has a relative import"
            modules.add(node.module)
    return modules


def test_the_menu_names_every_file():
    menu = {line.split()[0] for line in pretrain.shapley.__doc__.splitlines() if ".py " in line}
    assert menu == {file.name for file in FOLDER.glob("*.py")} - {"__init__.py"}


def test_imports_are_the_allowlist_and_the_standard_library():
    files = sorted(FOLDER.rglob("*.py"))
    assert len(files) > 10
    used = set()
    for file in files:
        for module in imported_modules(file):
            root = module.partition(".")[0]
            if root in sys.stdlib_module_names or module.startswith("pretrain.shapley."):
                continue
            name = module if root in ("data_filters", "pipelines", "pretrain", "cluster") else root
            assert name in ALLOWED, f"{file.name} imports {module}"
            used.add(name)
    assert used == ALLOWED
