# Two commands: `make app` starts the page, `make test` runs everything that CI runs.
# Both make the environment .venv on first use; later they start at once.

PYTHON ?= python3
VENV   := .venv
PORT   ?= 8501
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
UV := $(or $(shell command -v uv 2>/dev/null),$(BIN)/uv)

.PHONY: app test test-all format bench clean

app: $(VENV)/.app
	@$(BIN)/vcr-lab app --port $(PORT)

test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow and not gpu and not browser" -n 2 --dist loadfile
	$(BIN)/python -m pytest -m "browser and not slow and not gpu"

test-all: $(VENV)/.test
	$(BIN)/python -m pytest

bench: $(VENV)/.test
	$(BIN)/python benchmarks/presets.py
	$(BIN)/python benchmarks/presets_table.py --write

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) dist

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	@test -x "$(UV)" || $(BIN)/python -m pip install --quiet uv
	@touch $@

$(VENV)/.app: $(VENV)/.made pyproject.toml constraints.txt
	"$(UV)" pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml constraints.txt
	"$(UV)" pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable ".[test]"
	@touch $@ $(VENV)/.app
