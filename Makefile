# make demo: the whole chain on a rendered world, results in build/demo/
# make test: lint, types, import boundaries and every test that runs without a GPU
# make test-long: the repeated tests in full (damaged files, kills, starts), up to 40 minutes on two cores
# make coverage: the same tests, with branch coverage of the four packages; fails under 85%
# make docs: the documentation, in build/docs/index.html
# make wheel-check: the wheel, installed into a clean environment and used from outside the repository
BIN := .venv/bin
PIP := -m pip --disable-pip-version-check
export DS_ACCELERATOR ?= cpu

# The first Python of 3.11 to 3.13 that runs; `make PYTHON=/path/to/python` names another one.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifndef PYTHON
PYTHON := $(shell for python in python3.11 python3.12 python3.13 python3; do \
	if $$python -c '$(SUPPORTED)' >/dev/null 2>&1; then echo $$python; break; fi; done)
endif

.PHONY: demo test test-long install lint coverage docs wheel-check clean

install: .venv/.installed

# Half an environment is removed: the next call would take it for a whole one.
.venv/bin/python:
	@$(or $(PYTHON),false) -c '$(SUPPORTED)' >/dev/null 2>&1 || { \
		echo "no Python of version 3.11 to 3.13 found; install one, or name it: make PYTHON=/path/to/python" >&2; exit 2; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# torch first: nothing that comes later may exchange it for another build.
.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python $(PIP) install --quiet -c constraints.txt torch
	$(BIN)/python $(PIP) install --quiet -c constraints.txt -e '.[dev,docs]'
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

test-long: .venv/.installed
	$(BIN)/python -m pytest -m "long and not gpu" --long

coverage: .venv/.installed
	$(BIN)/python -m pytest -m "not gpu" --cov --cov-config=pyproject.toml --cov-report=term:skip-covered

docs: .venv/.installed
	$(BIN)/python -m sphinx -W --keep-going -b html docs build/docs

# The wheel is used from a folder outside the sources, so that missing data files are noticed.
WHEEL := build/wheel-check
wheel-check: .venv/.installed
	rm -rf $(WHEEL) build/lib build/bdist.*
	$(BIN)/python $(PIP) wheel --quiet --no-deps --wheel-dir $(WHEEL) .
	$(BIN)/python .ci/wheel_files.py $(WHEEL)/loupe-*.whl
	$(BIN)/python -m venv $(WHEEL)/venv
	$(WHEEL)/venv/bin/python $(PIP) install --quiet -c constraints.txt torch
	$(WHEEL)/venv/bin/python $(PIP) install --quiet -c constraints.txt $(WHEEL)/loupe-*.whl
	cd / && $(CURDIR)/.ci/use_wheel $(CURDIR)/$(WHEEL)/venv/bin
	rm -rf $(WHEEL)/venv build/lib build/bdist.*

clean:
	rm -rf build
