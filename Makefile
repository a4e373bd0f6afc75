# Atrium's tasks. `make` alone lists them. Everything is kept in this folder (.venv, .atrium) and in ~/.cache/atrium.

.DEFAULT_GOAL := help
.PHONY: help setup run unit test check bench drill lock clean

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed

help: ## list the tasks
	@echo "Atrium: a building run as a stream. Tasks:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 16

setup: $(INSTALLED) ## install what is needed (Python packages, Kafka, schema registry); quick when it is there
	@$(BIN)/atrium setup

$(INSTALLED): requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Atrium needs Python 3.11 or later; PYTHON=/path/to/python make setup names one."; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is missing (Debian: apt install python3-venv)."; exit 1; }
	$(BIN)/pip install $(if $(CI),--quiet) --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## run the building; Ctrl-C stops it
	@$(BIN)/atrium up

unit: $(INSTALLED) ## run the unit layer alone, in seconds: it starts nothing
	@$(BIN)/python -m pytest -q -n 2 tests/unit

test: setup ## run every test, in two processes
	@$(BIN)/python -m pytest -n 2 --no-loadscope-reorder

check: $(INSTALLED) ## style, types, import rules, schema compatibility
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m schemas.compatibility

bench: setup ## measure the rooms role beside a plain loop
	@$(BIN)/python -m tests.benchmarks

drill: setup ## break the running building in every known way and write what came of it to docs/reliability.md
	@$(BIN)/python -m tests.faults.drills --write

lock: $(INSTALLED) ## resolve the dependencies anew and write the lock files
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --generate-hashes --no-header --constraint requirements.lock --extra dev pyproject.toml -o requirements-dev.lock

clean: ## remove what setup and the checks made; the building's data (.atrium) stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find agents api infra schemas streams tests -name __pycache__ -prune -exec rm -rf {} +
