# Commands people and CI rely on; `make help` lists them.
PY      ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV     := $(VENV)/.dev
PAGES   := src/fairlead/server/web/index.html
WEB_IN  := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
unexport PYTHONDONTWRITEBYTECODE # where it is set, each process compiles all sources anew
PIP     := $(BIN)/pip install -q --disable-pip-version-check --no-input -c constraints.txt

.PHONY: help up down cluster cluster-down test check image bench gen format web
help:      ## list the commands
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*## /\t/' | expand -t 16

up: ## build, start Fairlead on this machine (PORT=8470), run a sample workload
	@$(MAKE) -s --no-print-directory -j2 $(RUNTIME) $(PAGES)
	@FAIRLEAD_PORT_OPTION="make up PORT=8471" $(BIN)/fairlead up --sample $(if $(PORT),--port $(PORT))

down: $(RUNTIME) ## stop what `make up` started; data stays
	@$(BIN)/fairlead down

cluster: $(DEV) $(PAGES) ## start a real Kubernetes cluster on this machine (root), Fairlead on it: two nodes, simulated GPUs
	@$(BIN)/python -m tests.parts.cluster up

cluster-down: $(DEV) ## stop what `make cluster` started, and remove it
	@$(BIN)/python -m tests.parts.cluster down

WORKERS ?= 4
test: ## run every test that can run on this machine (WORKERS=4 side by side: many wait more than they work)
	@$(MAKE) -s --no-print-directory -j2 $(DEV) $(PAGES)
	@$(BIN)/python -m tests.parts.install
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadscope --no-loadscope-reorder

check: $(DEV) ## format, lint, types, import contracts
	@$(BIN)/ruff format --check -q src tests bench deploy
	@$(BIN)/ruff check -q --no-cache src tests bench deploy
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

image: $(RUNTIME) $(PAGES) ## the container image of all roles: dist/fairlead-image.tar
	@$(BIN)/python deploy/image/build.py dist/fairlead-image.tar

bench: $(DEV) ## benchmarks: a table, and JSON under bench/results/
	@$(BIN)/python -m bench

gen: $(DEV) ## regenerate committed reference files
	@$(BIN)/python -m tests.parts.generate

format: $(DEV) ## rewrite the sources in the house format
	@$(BIN)/ruff format -q src tests bench deploy
	@$(BIN)/ruff check -q --fix src tests bench deploy

web: $(PAGES) ## build the web pages

$(BIN)/pip:
	@echo "Making a virtual environment ..."
	@$(PY) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@$(PY) -m venv $(VENV)

$(RUNTIME): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing what Fairlead needs ..."
	@$(PIP) -e .
	@touch $@

$(DEV): $(RUNTIME)
	@echo "Installing what the tests need ..."
	@$(PIP) -e '.[dev]'
	@touch $@

$(PAGES): $(WEB_IN) | $(BIN)/pip
	@echo "Building the web pages ..."
	@PYTHON=$(BIN)/python sh web/build.sh
	@touch $@
