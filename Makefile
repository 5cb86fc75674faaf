# The commands of this project. `make` lists them.

SHELL := /bin/sh
PYTHON := .venv/bin/python
SUITE ?= bookworm
LOCK_PYTHON ?= /usr/bin/python3
N ?= 1
# With compiled modules kept, each test process starts several seconds earlier.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo demo-open demo-down test faults test-unit check format lab-up lab-down bench screenshots lock

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 14

setup: ## install what everything below needs (they all do it themselves)
	@sh tools/setup.sh

demo: setup ## a throw-away server with a registry on it; with a terminal, through the wizard
	@$(PYTHON) -m lab.demo

demo-open: setup ## come back to the demo's registry with the wizard
	@$(PYTHON) -m lab.demo open

demo-down: setup ## remove the demo's servers
	@$(PYTHON) -m lab down moorage-demo moorage-demo-client

test: setup ## all tests; without root, all that need no servers
	$(PYTHON) -m pytest -n $${TEST_PROCESSES:-4} --dist loadgroup --no-loadscope-reorder

faults: setup ## every fault at every step of a run, on a real server, as a table
	MOORAGE_ALL_FAULTS="$(or $(FAULTS),1)" $(PYTHON) -m pytest -s -q tests/lab/test_every_fault.py

test-unit: setup ## the tests that need no servers
	$(PYTHON) -m pytest -n $${TEST_PROCESSES:-4} --dist loadgroup --no-loadscope-reorder tests/unit tests/tui

check: setup ## ruff, mypy, import-linter, shellcheck
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/shellcheck templates/shell/*.sh templates/shell/*/*.sh tools/*.sh .ci/run

format: setup ## put the code into the project's format
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

lab-up: setup ## boot N throw-away servers: make lab-up N=3 SUITE=trixie
	$(PYTHON) -m lab up $(N) --suite $(SUITE)

lab-down: setup ## remove all throw-away servers
	$(PYTHON) -m lab down

bench: setup ## measure against peers, side by side
	$(PYTHON) -m bench

screenshots: setup ## pictures of every screen into docs/screenshots, from a real run
	$(PYTHON) -m lab.screenshots

# By the oldest Python at hand: a newer one locks what an older one cannot install.
lock: ## renew the locked versions in requirements/dev.txt
	$(LOCK_PYTHON) -m venv .lock
	.lock/bin/pip install --quiet pip-tools
	.lock/bin/pip-compile --quiet --extra dev --extra keyring --extra web --generate-hashes --strip-extras \
		--allow-unsafe --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--no-annotate --upgrade --output-file requirements/dev.txt pyproject.toml
	rm -rf .lock
