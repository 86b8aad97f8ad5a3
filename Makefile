# make demo: the whole chain on a rendered world, results in build/demo/
# make test: lint, types, import boundaries and every test that runs without a GPU
# make docs: the documentation, in build/docs/index.html
PYTHON ?= python3.11
BIN := .venv/bin
export DS_ACCELERATOR ?= cpu

.PHONY: demo test install lint docs clean

install: .venv/.installed

# torch first: nothing that comes later may exchange it for another build.
.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/.installed
	$(BIN)/loupe demo --output build/demo

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -m "not gpu"

docs: .venv/.installed
	$(BIN)/python -c "import furo, myst_parser, sphinx" 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -b html docs build/docs

clean:
	rm -rf build
