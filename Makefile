# Everything a user or a contributor runs. `make demo` and `make test` need nothing but Python 3.11, pip and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# A further package index for another build of torch (see README, "With a GPU"); empty takes pip's own configuration.
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check
INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: demo demo-images test lint types imports unit format test-slow test-gpu lock clean

demo: $(VENV)/.core
	$(BIN)/understudy run examples/affairs.yaml

# Pictures: learns handwritten digits, publishes them as Parquet and PNG files, and verifies what a recipient would get.
demo-images: $(VENV)/.core
	$(BIN)/understudy run examples/digits.yaml
	$(BIN)/understudy verify "$$(ls -d releases/digits/[0-9]* | sort -V | tail -n 1)"

test: lint types imports unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports

unit: $(VENV)/.dev
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations=12

test-slow: $(VENV)/.dev
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -m slow

test-gpu: $(VENV)/.dev
	$(BIN)/python -m pytest -m gpu

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One constraints file that pip and uv both accept. Hashes are left out on purpose: they would force one build of torch.
lock: $(VENV)/.dev
	$(BIN)/uv lock --quiet
	$(BIN)/uv export --quiet --format requirements.txt --all-extras --no-hashes --no-annotate --no-header \
	    --no-emit-project --output-file constraints.txt
	rm -f uv.lock

$(BIN)/python:
	@$(PYTHON) --version >/dev/null 2>&1 || { echo "error: $(PYTHON) not found; set PYTHON=… to a Python 3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet $(INDEX) --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet $(INDEX) --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.core

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
