# Plain pip and venv; every target makes the environment first if it is not there or pyproject.toml is newer.
# Another Python: make test PYTHON=/path/to/python3.12      Another environment: make test VENV=/tmp/venv

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV ?= .venv
EXTRAS ?= train,simulate,offline,lora,codecs,metrics,service,matrix,onnx,ray,dev
DEMO_OUTPUT ?= demo_output
RECIPE ?= mini
RECIPE_OPTIONS ?=
# one thread of arithmetic per test process: two processes of two threads each are slower on two cores
TEST_WORKERS ?= 2
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench recipe ondevice env clean

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

demo: $(STAMP) ## the main job, offline: makes a two-talker voice note with its chat and extracts the voice that continues it
	@egs/utils/install_flite.sh
	$(BIN)/cse demo --output $(DEMO_OUTPUT)

test: lint ## lint, types, doctests and tests, the mini recipe's --quick run included
	@egs/utils/install_flite.sh || echo "go on without it: the tests that need flite are skipped"
	@test -f cse/ondevice/browser_files/manifest.json || $(BIN)/cse export browser || \
	    echo "go on without it: the tests of the model in a browser are skipped"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(TEST_WORKERS) -m "not benchmark and not recipe"
	$(BIN)/python -m pytest -q -m "recipe and not benchmark" tests/egs

lint: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(STAMP) ## speed and memory on this machine
	$(BIN)/python -m pytest -q -s -m benchmark tests

recipe: $(STAMP) ## the mini recipe in full (half an hour on two cores); RECIPE=name runs another, RECIPE_OPTIONS="--quick"
	PATH="$(abspath $(BIN)):$$PATH" egs/$(RECIPE)/run.sh $(RECIPE_OPTIONS)

ondevice: $(STAMP) ## the model for the page of the service, to run in the browser (fetches onnxruntime-web by npm)
	$(BIN)/cse export browser

env: $(STAMP)

$(STAMP): pyproject.toml setup.py Makefile
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || \
	    { echo "cse needs Python 3.11 or 3.12, got $$($(PYTHON) --version 2>&1); name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	    { rm -rf $(VENV); echo "cannot create $(VENV); on Debian or Ubuntu type: sudo apt-get install python3.11-venv" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
