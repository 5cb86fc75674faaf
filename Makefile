# The commands of this project. `make` lists them.

SHELL := /bin/sh
PYTHON := .venv/bin/python
SUITE ?= bookworm
LOCK_PYTHON ?= /usr/bin/python3
N ?= 1
# Write bytecode: it saves several seconds at the start of each test process.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo demo-open demo-down test faults rollback-faults upgrades soak-images soak-bucket large-store test-unit check format lab-up lab-down bench screenshots lock

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 17

setup: ## install dependencies (the other targets run this themselves)
	@sh tools/setup.sh

demo: setup ## install a registry on a throwaway server; in a terminal, with the wizard
	@$(PYTHON) -m lab.demo

demo-open: setup ## open the demo's registry in the wizard
	@$(PYTHON) -m lab.demo open

demo-down: setup ## remove the demo's servers
	@$(PYTHON) -m lab down moorage-demo moorage-demo-client

test: setup ## run all tests; without root, only those that need no servers
	$(PYTHON) -m pytest -n $${TEST_PROCESSES:-6} --dist loadgroup --no-loadscope-reorder

faults: setup ## test every fault at every step of a run on a real server; prints a table
	MOORAGE_ALL_FAULTS="$(or $(FAULTS),1)" $(PYTHON) -m pytest -s -q tests/lab/test_every_fault.py

rollback-faults: setup ## kill and crash a rollback at every step, on two servers
	MOORAGE_TEST_EVERY_ROLLBACK_FAULT=1 $(PYTHON) -m pytest -s -q tests/lab/test_roll_back_faults.py

upgrades: setup ## upgrade and roll back with kills, crashes and reboots at every step, other images, other stores
	MOORAGE_THOROUGH=1 $(PYTHON) -m pytest -s -q tests/lab/test_upgrade.py tests/lab/test_some_servers_first.py tests/lab/test_roll_back_storage.py

soak-images: setup ## collect images 30 times while clients push and pull
	MOORAGE_SOAK_ROUNDS=$(or $(ROUNDS),30) $(PYTHON) -m pytest -s -q tests/lab/test_images_soak.py

soak-bucket: setup ## push, pull, delete, retain, collect and restore in a bucket for SECONDS=600
	MOORAGE_SOAK_SECONDS=$(or $(SECONDS),600) $(PYTHON) -m pytest -s -q tests/lab/test_images_bucket_soak.py

large-store: setup ## collect a generated store of 1,000 repositories, compared with a plain model
	MOORAGE_STORE_REPOSITORIES=$(or $(REPOSITORIES),1000) $(PYTHON) -m pytest -s -q tests/unit/images/test_generated_stores.py

test-unit: setup ## run the tests that need no servers
	$(PYTHON) -m pytest -n $${TEST_PROCESSES:-6} --dist loadgroup --no-loadscope-reorder tests/unit tests/tui

check: setup ## run ruff, mypy, import-linter, shellcheck
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/shellcheck templates/shell/*.sh templates/shell/*/*.sh tools/*.sh .ci/run

format: setup ## format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

lab-up: setup ## boot N throwaway servers: make lab-up N=3 SUITE=trixie
	$(PYTHON) -m lab up $(N) --suite $(SUITE)

lab-down: setup ## remove all throwaway servers
	$(PYTHON) -m lab down

bench: setup ## run the benchmarks
	$(PYTHON) -m bench

screenshots: setup ## take screenshots of a real run into docs/screenshots
	$(PYTHON) -m lab.screenshots

# Use the oldest supported Python: a newer one can lock versions that an older one cannot install.
lock: ## update the locked versions in requirements/dev.txt
	$(LOCK_PYTHON) -m venv .lock
	.lock/bin/pip install --quiet pip-tools
	.lock/bin/pip-compile --quiet --extra dev --extra keyring --extra web --generate-hashes --strip-extras \
		--allow-unsafe --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--no-annotate --upgrade --output-file requirements/dev.txt pyproject.toml
	rm -rf .lock
