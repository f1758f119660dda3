# Each target does the set-up it needs; a bare machine has Python 3.11 and pip.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install run test lint wheel

install: .venv/installed

run: install
	$(BIN)/hpo run studies/airline.toml

test: lint
	$(BIN)/pytest -n 2

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

wheel: install
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

# torch first and pinned: a wider requirement may fetch gigabytes of CUDA packages.
.venv/installed: pyproject.toml constraints.txt $(wildcard hpo/training/*.c hpo/training/*.h)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
