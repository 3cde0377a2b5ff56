.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
MEMBERS := $(sort $(wildcard libs/* services/* deploy/local))

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Set-up is a file target: it runs again only when the lock or a member's declaration changes.
$(VENV)/.ready: requirements.lock $(addsuffix /pyproject.toml,$(MEMBERS))
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.13,<0.14"
	@$(UV) pip install --python $(BIN)/python --quiet --require-hashes -r requirements.lock
	@$(UV) pip install --python $(BIN)/python --quiet --no-deps $(addprefix -e ,$(MEMBERS))
	@touch $@

setup: $(VENV)/.ready  ## make .venv with everything pinned

lock:  ## resolve again and export the hash-pinned lock
	$(UV) lock --upgrade
	$(UV) export --quiet --all-packages --all-groups --no-emit-workspace --no-emit-project --format requirements-txt --output-file requirements.lock

.PHONY: help setup lock
