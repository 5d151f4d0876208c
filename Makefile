# Everything runs in .venv, which `make setup` fills from the locked, hashed requirements.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LOCKED := operator server gateway tracker node phantom cli

.DEFAULT_GOAL := help
.PHONY: help setup demo monitor-demo test lint types imports unit process cluster kube kube-up kube-down nodes e2e e2e-all cluster-demo cluster-demo-down bench wire crds charts metrics dashboards images bundle lock clean

help:           ## what can be made
	@sed -n 's/^\([-a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(READY) ## the virtual environment, with every part of Fedward in it
$(READY): pyproject.toml requirements/bootstrap.txt requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Fedward needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/uv || echo "Setting up $(VENV): about 3 GB to download, most of it torch; once"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup     ## four synthetic hospitals train one model on this machine; says where the report is
	@$(BIN)/fedward phantom data/phantom
	@$(BIN)/fedward run examples/brain-tumour.yaml --out out/brain-tumour

monitor-demo: setup ## the same, with a Prometheus over it; takes scripts/prepare_monitoring.sh
	@$(BIN)/fedward phantom data/phantom
	@$(BIN)/python -m monitoring.demo examples/brain-tumour.yaml --out out/monitor-demo

test: lint types imports unit process cluster ## every check and every test

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
types: setup
	@$(BIN)/mypy
imports: setup
	@$(BIN)/lint-imports
unit: setup
	@OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 -m 'not process and not cluster and not e2e'
process: setup
	@OMP_NUM_THREADS=1 $(BIN)/pytest -q -m process
cluster: setup
	@OMP_NUM_THREADS=1 $(BIN)/pytest -q -rs -n 2 --dist loadfile -m cluster
kube: setup     ## build Kubernetes' binaries for the cluster tests, into a cache outside the checkout; takes Go
	@$(BIN)/python -m tests.kube.build

kube-up: setup  ## two real clusters without machines, to play with; prints how to reach them
	@$(BIN)/python -m tests.kube.hand up
kube-down: setup ## end them
	@$(BIN)/python -m tests.kube.hand down

nodes:          ## install what real nodes and images take (Debian, as root)
	@scripts/prepare_nodes.sh
	@scripts/prepare_monitoring.sh
e2e: setup      ## two real clusters of containers, three hospitals, the charts, one trained model (root; after `make kube nodes`)
	@OMP_NUM_THREADS=1 $(BIN)/pytest -q -rs -m 'e2e and not thorough'
e2e-all: setup  ## the same, and everything that can go wrong in it
	@OMP_NUM_THREADS=1 $(BIN)/pytest -q -rs -m e2e

cluster-demo: setup ## bring up what `make e2e` tests, train on it, and leave it there to look at
	@$(BIN)/python -m tests.e2e.demo up
cluster-demo-down: setup ## end it
	@$(BIN)/python -m tests.e2e.demo down

bench: setup    ## the figures that docs/benchmarks.md promises, measured on this machine
	@$(BIN)/python -m bench

wire: setup     ## generate the gRPC stubs from federation.proto
	@$(BIN)/python scripts/generate_wire.py

crds: setup     ## generate the CustomResourceDefinitions from fedward_operator.api
	@$(BIN)/python scripts/generate_crds.py

charts: setup   ## generate what the charts take from elsewhere: kinds, rights, the tables of values
	@$(BIN)/python scripts/generate_charts.py

metrics: setup  ## generate docs/metrics.md from the metrics that each part makes
	@$(BIN)/python scripts/generate_metrics.py

dashboards: setup ## generate the charts' Grafana dashboards and alert rules from monitoring/
	@$(BIN)/python -m monitoring

images: setup   ## build the container images that have changed, into a cache outside the checkout; prints their sizes
	@$(BIN)/python -m scripts.images build
bundle: setup   ## pack images and charts for a hospital without internet, into dist/
	@$(BIN)/python -m scripts.images bundle dist/fedward-bundle.tar

lock: setup     ## resolve the locked requirements anew
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --python-version 3.11 --extra dev --constraint requirements/constraints.txt pyproject.toml -o requirements/dev.txt
	@for extra in $(LOCKED); do \
	  $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --python-version 3.11 --extra $$extra --constraint requirements/dev.txt pyproject.toml -o requirements/$$extra.txt || exit 1; \
	done

clean:          ## remove what was built, not what was trained
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
