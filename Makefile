# stead: `make` lists the commands. Each installs what it needs; nothing is needed but git, make and Python 3.11 or newer.
.DEFAULT_GOAL := help
.PHONY: help demo story test check format bench docs clean

PYTHON ?= python3
TOOLS  := .tools
UV     := $(TOOLS)/bin/uv
RUN    := $(UV) run --locked --no-sync
# Tests that start no network: so many of their files run at once. The others need the machine for themselves.
APART  := tests/audit tests/docs tests/egress tests/flows tests/identity tests/project tests/server
JOBS   ?= 2

help: ## list these commands
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.demo ## start FinPort: the whole network, on this machine
	@$(RUN) stead demo

story: .venv/.demo ## play the four scenes in the terminal
	@$(RUN) stead demo --story

test: .venv/.test ## run every test (LONG=1 adds soak and crash runs)
	@$(RUN) python -m tests.setup
	@$(RUN) pytest --numprocesses $(JOBS) --dist loadfile $(APART)
	@$(RUN) pytest $(addprefix --ignore=,$(APART))

check: .venv/.test ## format, lint, types, import layers, docs
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) lint-imports --no-cache
	@$(RUN) pytest tests/docs

format: .venv/.test ## put the code into its form
	@$(RUN) ruff check --fix --quiet . || true
	@$(RUN) ruff format .

bench: .venv/.test ## measure (ONLY=identity for one group, LONG=1 for the long form)
	@$(RUN) python -m benchmarks $(ONLY)

docs: .venv/.demo ## write the generated pictures and pages anew
	@$(RUN) python -m docs.generate

clean: ## remove what the commands above made
	rm -rf .venv $(TOOLS) .stead .mypy_cache .ruff_cache .pytest_cache

$(UV): .python-uv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "stead needs Python 3.11 or newer: make PYTHON=python3.12")'
	@test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r .python-uv
	@touch $(UV)

.venv/.demo: $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --locked --inexact --python $(TOOLS)/bin/python
	@touch .venv/.demo

.venv/.test: $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --locked --inexact --all-groups --python $(TOOLS)/bin/python
	@touch .venv/.test .venv/.demo
