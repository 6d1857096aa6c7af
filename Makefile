# One target per developer action; each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint format docs bench clean setup

demo: setup  ## the main job on real data: forecasts, leaderboard, pictures
	$(BIN)/foretell demo --out demo-output

test: setup  ## everything that must hold: style, types, tests, pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy & types=$$!; $(BIN)/pytest -q -n 2 --dist worksteal; tests=$$?; wait $$types && exit $$tests
	$(MAKE) docs

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-cache && $(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

docs: setup  ## the site, in build/site; a dead link or an unknown name is an error
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/site
	@echo "the site is in build/site/index.html"

bench: setup  ## the accuracy and speed tables of benchmarks/README.md
	$(BIN)/python -m benchmarks

setup: $(VENV)/.ready

# Debian ships python3 without ensurepip: where a venv cannot be made, its package is installed first.
$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "foretell needs Python 3.11 or newer; name one with: make PYTHON=python3.12 …" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); \
	  echo "python3 has no venv module here: installing python3-venv" >&2; \
	  SUDO=$$(test "$$(id -u)" = 0 || echo sudo); \
	  $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); }
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) demo-output build
