# Needs make and Python >= 3.11; everything else is installed into .venv from requirements.lock.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
UV ?= uv

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint serve bench bench-peers torture docs lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Ninety simulated days through the whole product, in under a minute
	@$(BIN)/catalogue demo

test: $(INSTALLED) ## Every test that needs no more than this machine (ARGS="-k price" to choose)
	@$(BIN)/python -m pytest -n 2 $(ARGS)

lint: $(INSTALLED) ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

serve: $(INSTALLED) ## The Dagster UI and its daemon, with the daily schedule
	@$(BIN)/catalogue serve

bench: $(INSTALLED) ## What loading, reading and keeping cost; writes the README's table (ARGS="--only reading" for some)
	@$(BIN)/python -m tests.benchmarks.run $(ARGS)

bench-peers: $(INSTALLED) ## The same input through other programs, each in an environment of its own
	@$(BIN)/python -m tests.benchmarks.run --peers $(ARGS)

torture: $(INSTALLED) ## A thousand writers killed with -9 (ARGS="--kills 100" for fewer)
	@$(BIN)/python -m tests.torture.run $(ARGS)

.venv: $(INSTALLED) ## Install into .venv what every other target needs

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1)' 2>/dev/null || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing into .venv (a minute or two, once) ..."
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		-r requirements.lock
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--editable .
	@touch $@

docs: $(INSTALLED) ## Write the README's data dictionary from the marts' comments
	@$(BIN)/python -m pipelines.ledger.dictionary README.md

lock: ## Resolve requirements.lock anew from pyproject.toml (needs uv)
	@$(UV) pip compile pyproject.toml --extra notebooks --group dev --quiet \
		--universal --python-version 3.11 --fork-strategy fewest --upgrade --generate-hashes --no-strip-extras \
		--no-header --no-emit-index-url --no-emit-find-links --output-file requirements.lock

clean: ## Remove .venv and what tools leave behind; the warehouse stays
	@rm -rf .venv .venv-peers .benchmarks dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
