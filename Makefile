# make run: set everything up and do the main job.  make test: set everything up and pass the tests.
# make docs: set everything up and build the documentation as a site.
# make quick: the tests that guard, at every change.  make campaign: those that explore for long.
# make debug: all tests, in a build whose compiled code checks each index of an array.  make pins: what must not change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out
# hundreds of processes of the tests import the same sources, which are translated once
export PYTHONDONTWRITEBYTECODE :=
# of tests: one more than there are cores, since some only wait
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

.PHONY: run test debug pins quick campaign lint docs clean

run: $(VENV)/.run
	$(BIN)/hexsched demo -o $(OUT)
	$(BIN)/hexsched figures attainment --store $(OUT) -o $(OUT)
	@echo "The picture is $(OUT)/attainment.png"

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

debug: $(VENV)/.test
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

pins: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/test_pinned.py

quick: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m quick

campaign: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m campaign --hypothesis-profile campaign

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	@echo "The documentation is site/index.html"

clean:
	rm -rf $(VENV) $(OUT) site

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("hexsched needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $(VENV)/.run $@

$(VENV)/.docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $(VENV)/.run $@
