# The door for people. Every target prepares the environment it needs and says nothing when there is nothing to do.
#   make demo         data → model → endpoint → predictions on the flights project (ENGINE=local: without Airflow; KEEP=1: leave the endpoint up)
#   make test         all fast tests        make test-slow   real servers, built environments
#   make check        lint, types, layout   make soak        fuzzing (FUZZ_SECONDS=600), minute-long loads, ten million rows
#   make generate     operators, components, catalogue, references from the operations
#   make lock         renew constraints/    make docs        HTML under docs/_build
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
ENGINE ?= airflow
# How long make soak sends changed bytes to the tensor decoders
FUZZ_SECONDS ?= 600
KEEP ?=
VENVS := .venvs
MAIN := $(VENVS)/main/bin
AIRFLOW := $(VENVS)/airflow/bin
KFP := $(VENVS)/kfp/bin
UV := $(VENVS)/uv/bin/uv
LOCK := $(UV) pip compile --quiet --upgrade --python-version 3.11 --no-header --no-annotate --no-emit-index-url pyproject.toml
CORE_TYPES := provider workflows
AIRFLOW_TYPES := provider/modelyard/airflow operators/modelyard/operators/airflow workflows/modelyard/workflows/engines/airflow
KFP_TYPES := operators/modelyard/operators/kfp
BENCHMARKS := $(filter-out %/contest.py,$(wildcard benchmarks/*.py))
FAST := -m "not slow and not soak"
AIRFLOW_TESTS := tests/airflow tests/operators/airflow
GRAPH_TESTS := tests/benchmarks tests/graphs tests/layout
# They start servers, and wait more than they compute.
SERVING_TESTS := tests/cli tests/contract/targets tests/deploy tests/serving
CI_TESTS := tests/ci
KFP_TESTS := tests/operators/kfp tests/contract/workflows/test_kfp.py tests/workflows/engines/test_kfp.py
# Certificates of the machine, so that a proxy with one of its own works.
export UV_SYSTEM_CERTS ?= 1
export MODELYARD_TEST_PYTHON := $(abspath $(MAIN)/python)
export MODELYARD_TEST_KFP_PYTHON := $(abspath $(KFP)/python)

.PHONY: help demo test test-core test-airflow test-kfp test-core-graphs test-core-serving test-core-rest test-core-doctests test-slow test-slow-core test-slow-core-ci test-slow-core-rest test-slow-airflow test-slow-kfp soak check generate lock docs bench environments clean

help:
	@sed -n 's/^#   //p' Makefile

# --- environments: one for the work, one for Airflow, one for KFP, none inside another ----------------------------------------

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "modelyard needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=…")'
	@echo "preparing $(VENVS)/uv" && $(PYTHON) -m venv $(VENVS)/uv && $(VENVS)/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"

define environment
	@echo "preparing $(VENVS)/$(1) (once; a few minutes on a slow line)"
	@test -x $(VENVS)/$(1)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(VENVS)/$(1)
	@$(UV) pip install --quiet --compile-bytecode --python $(VENVS)/$(1)/bin/python --constraints constraints/$(1).txt --editable '.[$(2)]'
	@touch $@
endef

$(VENVS)/main/.ready: pyproject.toml constraints/main.txt | $(UV)
	$(call environment,main,ml$(comma)serving$(comma)otel$(comma)onnx$(comma)explain$(comma)examples$(comma)dev$(comma)lint$(comma)peers)

$(VENVS)/airflow/.ready: pyproject.toml constraints/airflow.txt | $(UV)
	$(call environment,airflow,airflow$(comma)airflow-peers$(comma)dev)

$(VENVS)/kfp/.ready: pyproject.toml constraints/kfp.txt | $(UV)
	$(call environment,kfp,kfp$(comma)dev)

# Node and its packages, on which the tests of the CI templates run: Node itself is a Python package of `main`.
$(VENVS)/node/.ready: tests/ci/node/package.json tests/ci/node/package-lock.json tests/ci/node/prepare.py | $(VENVS)/main/.ready
	@echo "preparing $(VENVS)/node"
	@$(MAIN)/python tests/ci/node/prepare.py $(VENVS)/node
	@touch $@

comma := ,

environments: $(VENVS)/main/.ready $(VENVS)/airflow/.ready $(VENVS)/kfp/.ready $(VENVS)/node/.ready

# --- the main job -----------------------------------------------------------------------------------------------------

ifeq ($(ENGINE),airflow)
demo: $(VENVS)/main/.ready $(VENVS)/airflow/.ready
else
demo: $(VENVS)/main/.ready
endif
	@KEEP=$(KEEP) $(MAIN)/python examples/flights/demo.py --engine $(ENGINE) --airflow-python $(AIRFLOW)/python

# --- tests ------------------------------------------------------------------------------------------------------------

# Longest first: side by side (make -j3 test-slow check test) they end at about the same time.
test: test-core-rest test-airflow test-core test-kfp

test-core: test-core-rest test-core-serving test-core-graphs test-core-doctests

test-core-graphs: $(VENVS)/main/.ready
	$(MAIN)/pytest $(FAST) $(GRAPH_TESTS)

test-core-serving: $(VENVS)/main/.ready
	$(MAIN)/pytest $(FAST) $(SERVING_TESTS)

test-core-rest: $(VENVS)/main/.ready
	$(MAIN)/pytest $(FAST) $(addprefix --ignore=,$(AIRFLOW_TESTS) $(KFP_TESTS) $(GRAPH_TESTS) $(SERVING_TESTS)) tests examples/flights/tests

test-core-doctests: $(VENVS)/main/.ready
	$(MAIN)/pytest -q --doctest-modules --ignore=provider/modelyard/airflow --ignore=workflows/modelyard/workflows/engines/airflow provider workflows

test-airflow: environments
	$(AIRFLOW)/pytest $(FAST) $(AIRFLOW_TESTS)

test-kfp: $(VENVS)/main/.ready $(VENVS)/kfp/.ready
	$(KFP)/pytest $(FAST) $(KFP_TESTS)
	$(KFP)/pytest -q --doctest-modules operators/modelyard/operators/kfp

test-slow: test-slow-core-ci test-slow-airflow test-slow-core test-slow-kfp

test-slow-core: test-slow-core-ci test-slow-core-rest

test-slow-core-ci: environments
	$(MAIN)/pytest -m slow $(CI_TESTS)

test-slow-core-rest: $(VENVS)/main/.ready
	$(MAIN)/pytest -m slow $(addprefix --ignore=,$(AIRFLOW_TESTS) $(KFP_TESTS) $(CI_TESTS)) tests examples/flights/tests

test-slow-airflow: environments
	$(AIRFLOW)/pytest -m slow $(AIRFLOW_TESTS)

test-slow-kfp: $(VENVS)/main/.ready $(VENVS)/kfp/.ready
	$(KFP)/pytest -m slow $(KFP_TESTS)

soak: $(VENVS)/main/.ready
	MODELYARD_FUZZ_SECONDS=$(FUZZ_SECONDS) $(MAIN)/pytest -m soak -s $(addprefix --ignore=,$(AIRFLOW_TESTS) $(KFP_TESTS)) tests

# --- what is checked without running it -------------------------------------------------------------------------------

check: $(VENVS)/main/.ready $(VENVS)/airflow/.ready $(VENVS)/kfp/.ready
	$(MAIN)/ruff check .
	$(MAIN)/ruff check --preview --select AIR provider/modelyard/airflow operators examples docs
	$(MAIN)/ruff format --check .
	$(MAIN)/mypy $(CORE_TYPES) --exclude '(modelyard|engines)/airflow/'
	$(MAIN)/mypy --python-executable $(AIRFLOW)/python --cache-dir .mypy_cache/airflow $(AIRFLOW_TYPES)
	$(MAIN)/mypy --python-executable $(KFP)/python --cache-dir .mypy_cache/kfp $(KFP_TYPES)
	$(MAIN)/pyright --pythonpath $(MAIN)/python $(filter-out %/airflow,$(wildcard provider/modelyard/*)) $(filter-out %/engines,$(wildcard workflows/modelyard/workflows/*)) $(wildcard workflows/modelyard/workflows/engines/*.py)
	$(MAIN)/pyright --pythonpath $(AIRFLOW)/python $(AIRFLOW_TYPES)
	$(MAIN)/pyright --pythonpath $(KFP)/python $(KFP_TYPES)

# --- what is written by machine ---------------------------------------------------------------------------------------

generate: $(VENVS)/main/.ready
	$(MAIN)/modelyard generate

lock: $(UV)
	$(LOCK) --extra ml --extra serving --extra otel --extra onnx --extra explain --extra examples --extra dev --extra lint --extra peers --output-file constraints/main.txt
	$(LOCK) --extra serving --constraints constraints/main.txt --output-file constraints/serving.txt
	$(LOCK) --extra airflow --extra airflow-peers --extra dev --output-file constraints/airflow.txt
	$(LOCK) --extra kfp --extra dev --output-file constraints/kfp.txt

docs: $(VENVS)/main/.ready
	$(MAIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENVS)/main/.ready
	@for script in $(BENCHMARKS); do $(MAIN)/python $$script; done
	@test -n "$(BENCHMARKS)" || echo "there is no benchmark yet"

clean:
	rm -rf $(VENVS) docs/_build .mypy_cache .ruff_cache .pytest_cache
