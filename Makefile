# Needs make and Python 3.11 or newer with venv; everything else is installed into .venv from requirements/dev.txt, by hash.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help dev test check bench lock chaos soak simulate mutants

# The first of these that is 3.11 or newer and can make an environment.
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
STAMP := .venv/.installed
BIN := .venv/bin

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Squirrel needs Python 3.11 or newer with venv (Debian: apt-get install python3 python3-venv)." >&2; exit 1; }
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@echo "installing into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

dev: $(STAMP) ## start everything on this machine: Kafka, all services, one ready line (ARGS="--port 8090")
	@exec $(BIN)/squirrel dev $(ARGS)

test: $(STAMP) ## the whole test suite, on real Kafka and real Cassandra (ARGS="-k timeline")
	@$(BIN)/python -m pytest $(ARGS)

check: $(STAMP) ## format, lint, types, import contracts, size limits
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/tidy

bench: $(STAMP) ## the benchmarks, one JSON object a line (ONLY=engine_ingest for one)
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY),) $(ARGS)

simulate: $(STAMP) ## a whole installation in one process, faults from a seed, judged (MINUTES=4, SEED=8412 repeats one)
	@PYTHONHASHSEED=0 $(BIN)/python -W ignore -m tests.simulation --minutes $(or $(MINUTES),4) $(if $(SEED),--seed $(SEED),) \
		$(if $(LEAD),--lead $(LEAD),) $(if $(PLACE),--place $(PLACE),) $(ARGS)

mutants: $(STAMP) ## twelve broken builds in the simulation: each must be caught by its invariant
	@PYTHONHASHSEED=0 $(BIN)/python -W ignore -m tests.simulation.mutants

chaos: $(STAMP) ## faults on real processes, judged (MINUTES=10 SEED=7 ONLY=kill-engine,poison)
	@$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED),) $(if $(ONLY),--only $(ONLY),) $(ARGS)

soak: $(STAMP) ## 1,000 schedules a second with faults, and how memory, files, topics and lateness grow (HOURS=1 SEED=7)
	@$(BIN)/python -m tests.chaos --soak $(or $(HOURS),1) $(if $(SEED),--seed $(SEED),) $(ARGS)

lock: $(STAMP) ## resolve requirements/ anew from pyproject.toml (needs uv)
	uv pip compile $(LOCK) --extra dev --upgrade --output-file requirements/dev.txt pyproject.toml
	uv pip compile $(LOCK) --extra cassandra --extra apprise --constraint requirements/dev.txt --output-file requirements/services.txt pyproject.toml

LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links
