# Vitrine: `make help` lists what there is. Needs Python 3.11 or newer with pip and venv; nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_ARGS ?=
BENCH_ARGS ?=
FAULT_ARGS ?= --rounds 200
FUZZ_ARGS ?=
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo test check lint bench faults fuzz audit sbom serve clean
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## A simulated shop: set up, fill, train, show, serve (DEMO_ARGS=--exit ends instead)
	@$(BIN)/vitrine demo $(DEMO_ARGS)

# One more than there are cores: many tests wait for processes that they started.
test: $(VENV)/.dev ## Run all tests, on SQLite and PostgreSQL
	@$(BIN)/python -m pytest -n $$(($$($(BIN)/python -c 'import os; print(os.cpu_count() or 1)') + 1)) --dist loadscope

lint: $(VENV)/.dev ## Format, lint, types, import contract, migrations
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > .lint-imports.log || { cat .lint-imports.log; exit 1; }
	@rm -f .lint-imports.log
	@dir=$$(mktemp -d); export VITRINE_DATABASE_URL=sqlite:///$$dir/check.db; \
		$(BIN)/vitrine migrate && $(BIN)/vitrine migrate --check; status=$$?; rm -rf $$dir; exit $$status

check: lint test ## What CI runs: lint and test

bench: $(VENV)/.bench ## Measure, side by side with references (BENCH_ARGS: names and options)
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

faults: $(VENV)/.dev ## Kill processes and servers under load (FAULT_ARGS: --rounds 200, parts; docs/reliability.md)
	@$(BIN)/python -m tests.faults $(FAULT_ARGS)

fuzz: $(VENV)/.fuzz ## Make up inputs (FUZZ_ARGS: targets, --seconds, --minutes; docs/reliability.md)
	@$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

audit: $(VENV)/bin/python ## Known problems of the pinned versions (asks a service on the network)
	@$(PYTHON) -m venv $(VENV)/tools && $(VENV)/tools/bin/pip install --quiet pip-audit
	@$(VENV)/tools/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

sbom: $(VENV)/bin/python ## What the image installs, as CycloneDX JSON (sbom.cdx.json)
	@$(PYTHON) -m venv $(VENV)/tools && $(VENV)/tools/bin/pip install --quiet cyclonedx-bom
	@$(PYTHON) -m venv --clear $(VENV)/image
	@$(VENV)/image/bin/pip install --quiet --constraint constraints.txt '.[postgresql]'
	@$(VENV)/image/bin/pip uninstall --quiet --yes pip setuptools
	@$(VENV)/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --of JSON \
		--output-file sbom.cdx.json $(VENV)/image/bin/python

serve: $(VENV)/.demo ## Serve on ./var with a trainer
	@$(BIN)/vitrine serve

clean: ## Remove the environment and caches, not ./var
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Vitrine needs Python 3.11 or newer; give one with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv module is missing (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.%: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing what 'make $*' needs ..."
	@$(PIP_INSTALL) --editable '.[$*]'
	@touch $@
