# make run | make test: each sets up what it needs first.
PYTHON ?= python3
VENV := .venv
VENV_BEAM := .venv-beam
INSTALL := -m pip --disable-pip-version-check install --quiet --no-build-isolation
PIP := $(VENV)/bin/python $(INSTALL)
PIP_BEAM := $(VENV_BEAM)/bin/python $(INSTALL)
WORKDIR ?= runs/lm_tiny

SPOKEN_DIGITS ?= $(firstword $(wildcard ../shared/data/spoken_digits) data/spoken_digits/recordings)

.PHONY: setup setup-dev setup-plan setup-clean setup-beam setup-bench run run-image run-audio test test-slow test-beam check format lock clean

setup: $(VENV)/.run  ## the environment that trains
setup-dev: $(VENV)/.dev  ## and what tests and checks need
setup-plan: $(VENV)/.plan  ## and the TPU compiler (700 MB)
setup-clean: $(VENV)/.clean  ## and what reads and repairs raw data (scripts/clean_data.py)

setup-beam: $(VENV_BEAM)/.beam  ## an environment of its own, for scripts/clean_data.py --engine=beam

setup-bench: $(VENV)/.run  ## and PyTorch, the peer of scripts/bench_train.py and bench_cnn.py; in no lock
	$(PIP) torch==2.13.0

$(VENV)/bin/python $(VENV_BEAM)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(f"expected Python 3.11 or 3.12, got {v[0]}.{v[1]}; write make PYTHON=python3.12" if v not in ((3, 11), (3, 12)) else 0)'
	$(PYTHON) -m venv $(@:/bin/python=)

# Builds nothing that is not pinned: setuptools comes from the lock too.
$(VENV)/.run: locks/build.txt locks/run.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) --require-hashes -r locks/build.txt
	$(PIP) --require-hashes -r locks/run.txt
	$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/.dev: locks/dev.txt $(VENV)/.run
	$(PIP) --require-hashes -r locks/dev.txt
	@touch $@

$(VENV)/.plan: locks/plan.txt $(VENV)/.run
	$(PIP) --require-hashes -r locks/plan.txt
	@touch $@

$(VENV)/.clean: locks/clean.txt $(VENV)/.run
	$(PIP) --require-hashes -r locks/clean.txt
	@touch $@

$(VENV_BEAM)/.beam: locks/build.txt locks/beam.txt pyproject.toml | $(VENV_BEAM)/bin/python
	$(PIP_BEAM) --require-hashes -r locks/build.txt
	$(PIP_BEAM) --require-hashes -r locks/beam.txt
	$(PIP_BEAM) --no-deps --editable .
	@touch $@

run: $(VENV)/.run  ## train the main config on text that the installation brings
	$(VENV)/bin/python -m train --config=configs/lm_tiny.py --workdir=$(WORKDIR)

run-image: $(VENV)/.run  ## train a small convolutional network on pictures that the installation brings
	$(VENV)/bin/python -m train --config=configs/image_digits.py --workdir=runs/image_digits

run-audio: $(VENV)/.run $(SPOKEN_DIGITS)  ## train on spoken digits, tested on a speaker who was never heard
	$(VENV)/bin/python -m train --config=configs/audio_digits.py --workdir=runs/audio_digits \
	  --config.data.files='$(SPOKEN_DIGITS)/*.wav'

data/spoken_digits/recordings:
	git clone --depth 1 https://github.com/Jakobovski/free-spoken-digit-dataset.git data/spoken_digits

test: $(VENV)/.dev  ## every test but the long campaigns
	$(VENV)/bin/python -m pytest -q -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart=0

test-slow: $(VENV)/.dev
	$(VENV)/bin/python -m pytest -q -m slow

test-beam: $(VENV)/.dev $(VENV_BEAM)/.beam  ## the same dataset from Apache Beam
	$(VENV)/bin/python -m pytest -q tests/input_pipeline/clean/engine/test_beam.py

check: $(VENV)/.dev  ## the fast gate: format, lint, types, fast tests
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/mypy --no-error-summary
	$(VENV)/bin/python -m pytest -q -m "fast and not slow"

format: $(VENV)/.dev
	$(VENV)/bin/ruff check --quiet --fix .
	$(VENV)/bin/ruff format --quiet .

lock:  ## resolve the locks again (needs uv); one set of versions for 3.11 and 3.12
	scripts/lock.sh

clean:
	rm -rf $(VENV) $(VENV_BEAM) .mypy_cache .pytest_cache .ruff_cache
