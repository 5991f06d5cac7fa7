# Two commands on a fresh machine: `make demo` and `make test`. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
PEERS := .venv-peers
BIN := $(VENV)/bin
# Which build of TensorFlow: default, cpu (smaller, for CPUs alone), gpu or tpu. It stays chosen.
ACCELERATOR ?= $(or $(patsubst $(VENV)/installed-%,%,$(wildcard $(VENV)/installed-*)),default)
# The newest Python here that this project runs on; PYTHON=… overrides.
FITS := import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3.10 python3 python; do \
	$$python -c '$(FITS)' >/dev/null 2>&1 && { echo $$python; break; }; done)
PYTHON_FITS = $(and $(PYTHON),$(shell $(PYTHON) -c '$(FITS)' >/dev/null 2>&1 && echo yes))
DEMO := runs/demo
# What make bench compares: agents, inputs, predicting or supervised.
WHAT ?= agents supervised

PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --use-pep517
INSTALLED := $(VENV)/installed-$(ACCELERATOR)

.PHONY: help setup lock demo test test-slow coverage lint format bench bench-agents bench-inputs bench-predicting \
	bench-supervised image-test clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | \
	while IFS='|' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

setup: $(INSTALLED) ## create .venv and install the package with its tools, as locked

$(INSTALLED): setup.py $(wildcard requirements/*.txt)
	$(if $(PYTHON_FITS),,$(error Python 3.10 to 3.13 with venv is needed; name one with PYTHON=/path/to/python3.13. Received: $(or $(PYTHON),none)))
	$(if $(wildcard requirements/$(ACCELERATOR).txt),,$(error ACCELERATOR is default, cpu, gpu or tpu. Received: $(ACCELERATOR)))
	@echo "installing into $(VENV): about 1.5 GB, a minute or two"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP_INSTALL) --requirement requirements/$(ACCELERATOR).txt --requirement requirements/dev.txt
	@$(PIP_INSTALL) --no-build-isolation --editable .
	@touch $@

lock: setup ## resolve setup.py again and write requirements/
	@$(BIN)/python tools/lock.py

demo: setup ## train a CNN on handwritten digits and predict three images
	@$(BIN)/trainer train --config=configs/digits_cnn.py --workdir=$(DEMO)
	@echo
	@echo '$$ trainer predict --workdir=$(DEMO) docs/images/digit_*.png'
	@$(BIN)/trainer predict --workdir=$(DEMO) docs/images/digit_*.png
	@echo
	@echo 'The commands are in $(BIN): . $(BIN)/activate makes `trainer` one of yours.'
	@echo 'Try: trainer train --config=configs/digits_cnn.py --config.model.kind=mlp --workdir=runs/mlp'

test: setup ## run the tests, the slow ones aside
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m 'not slow'

test-slow: setup ## run the slow tests too
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

coverage: setup ## run the tests and print which lines and branches they cover
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m 'not slow' --cov --cov-report=term-missing:skip-covered

format: setup ## format the code and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lint: setup ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(addprefix bench-,$(WHAT)) ## speed against other libraries; WHAT=agents, inputs, predicting or supervised

bench-agents: setup $(PEERS)/installed
	@$(BIN)/python benchmarks/agents.py
	@$(BIN)/python benchmarks/episodes.py

bench-inputs: setup
	@$(BIN)/python benchmarks/inputs.py

bench-predicting: setup
	@$(BIN)/python benchmarks/predicting.py

bench-supervised: setup $(PEERS)/installed
	@$(BIN)/python benchmarks/supervised.py

$(PEERS)/installed: benchmarks/peers.txt
	@echo "installing what is compared with into $(PEERS): about 1 GB"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/pip install --quiet --disable-pip-version-check --requirement benchmarks/peers.txt
	@touch $@

ACCELERATORS := cpu tpu
image-test: setup ## as root on Debian, build the image without Docker, train and resume in it
	@$(BIN)/python tools/prove_image.py $(ACCELERATORS)

clean: ## remove what the targets made, runs/ aside
	@rm -rf $(VENV) $(PEERS) build/image build/coverage *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
