# `make` lists what there is. PYTHON=... chooses the interpreter, ARGS=... goes to the tool that a target runs.
# ENGINE=emotivoice MODEL_DIR=... (and DEVICE=cuda:1) lets demo and up speak with a model; docs/models.md.
.DEFAULT_GOAL := help
.PHONY: help demo up test unit faults static audit check bench scale lock wheelhouse clean setup-demo setup-model setup-dev

ENGINE ?= $(EMOTIVOICE_ENGINE)
setup_engine := $(if $(filter emotivoice,$(ENGINE)),setup-model,setup-demo)
engine := $(if $(ENGINE),--engine '$(ENGINE)') $(if $(MODEL_DIR),--model-dir '$(MODEL_DIR)') $(if $(DEVICE),--device '$(DEVICE)')

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(setup_engine) ## start everything, speak a few texts into demo-output/, stop
	@.venv/bin/emotivoice demo $(engine) $(ARGS)

up: $(setup_engine) ## run the whole service on this machine until Ctrl-C
	@.venv/bin/emotivoice up $(engine) $(ARGS)

test: setup-dev ## run every test; servers are started and stopped by the suite
	.venv/bin/python -m pytest $(ARGS)

unit: setup-dev ## run the tests that need nothing but Python
	.venv/bin/python -m pytest -m "not integration and not e2e and not faults" $(ARGS)

faults: setup-dev ## break servers and processes on purpose; ARGS="--faults=long --faults-report FILE" for every cell
	.venv/bin/python -m pytest -m faults $(ARGS)

static: setup-dev ## lint, format, types, imports
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/pyright
	.venv/bin/lint-imports

audit: setup-dev ## ask an advisory service about every locked package; needs a network
	.venv/bin/python scripts/audit.py $(ARGS)

check: static test ## what CI runs, besides the audit

bench: setup-dev ## measure speed as ratios within one run
	.venv/bin/python -m bench.service $(ARGS)

scale: setup-dev ## a burst of jobs, met by workers that KEDA's rules start and stop; six minutes
	.venv/bin/python -m bench.scale $(ARGS)

lock: setup-dev ## renew uv.lock and the hashed requirements; ARGS=--upgrade for newer versions
	.venv/bin/python scripts/lock.py $(ARGS)

wheelhouse: setup-dev ## download every locked package, for `uv sync --frozen` without a network
	.venv/bin/python -m pip download --quiet --require-hashes --no-deps --dest wheelhouse --requirement requirements-dev.lock

clean: ## remove everything that make made, the local stack's data too
	rm -rf .venv .local demo-output wheelhouse build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup-demo:
	@PYTHON=$(PYTHON) scripts/setup.sh demo

setup-model:
	@PYTHON=$(PYTHON) scripts/setup.sh model

setup-dev:
	@PYTHON=$(PYTHON) scripts/setup.sh dev
