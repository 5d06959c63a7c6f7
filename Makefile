# Everything a person or a pipeline does with this project. `make help` lists it.
PYTHON ?= python3
BIN := .venv/bin
STACK ?= dev
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-root up down test test-again check format golden generate lock bench faults fuzz

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

setup: .venv/.locked ## the project's own virtual environment, exactly as locked

.venv/.locked: requirements.lock requirements-bootstrap.lock pyproject.toml
	@echo "setting up .venv (locked, hashes checked)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --require-hashes -r requirements-bootstrap.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

setup-root: setup ## as root on Debian or Ubuntu: the packages that real pods need
	@apt-get update --quiet=2
	@DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends \
		$$($(BIN)/modelfleet local requirements --packages)

up: setup ## converge the dev fleet on a local cluster, with a real engine
	@STACK=$(STACK) sh stacks/up.sh

down: setup ## end the local cluster; the next up goes on where it was
	@$(BIN)/modelfleet local down

test: setup check ## everything that is checked, against the real engine and cluster
	@$(BIN)/modelfleet local install
	@$(BIN)/pytest -n 3 --dist loadgroup || { [ $$? = 1 ] && $(MAKE) --no-print-directory test-again; }

# A machine that others use as well stands still at times, which is no finding: what fails only
# beside others is shown as failed by the first run, and passes here. What fails twice fails.
test-again: setup ## what failed last, once more and alone
	@echo 'what failed, once more and alone:'
	@$(BIN)/pytest -n 1 --dist loadgroup --last-failed --last-failed-no-failures none --maxfail 1

check: setup ## format, lint, types, layers, generated files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@for program in stacks examples/*; do $(BIN)/mypy --no-error-summary $$program/*.py || exit 1; done
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m modelfleet.codegen --check

format: setup ## format, and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

generate: setup ## argument types and the field reference, from the models
	@$(BIN)/python -m modelfleet.codegen

golden: setup ## accept what is rendered and printed now as the expected text
	@$(BIN)/pytest tests/golden tests/engine --update-golden

lock: setup ## take up newer dependencies within pyproject's ranges
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --upgrade \
		--group dev pyproject.toml --output-file requirements.lock

bench: setup ## measure, as ratios within one run, and write benchmarks/results.json
	@$(BIN)/modelfleet local install
	@$(BIN)/python -m benchmarks

RUNS ?= 1000
faults: setup ## run random fleets through random faults (RUNS=1000), and sum up what came of it
	@$(BIN)/modelfleet local install
	@$(BIN)/pytest -q tests/lifecycle/faults/test_random_runs.py --fault-runs $(RUNS)

fuzz: setup ## all declarations that are drawn at random: `make test` takes a tenth of them
	@$(BIN)/modelfleet local install
	@$(BIN)/pytest -q -n 2 tests/fuzz tests/lifecycle/test_openapi.py --fuzz-whole
