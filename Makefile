# Every target first creates the virtual environment .venv and installs the package, pinned by constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check docs bench format clean

demo: $(READY)  ## run the full pipeline on the bundled features; writes demo/report.html
	$(BIN)/sola demo --out demo --overwrite

# One process per core with one thread each: the test arrays are too small for multithreading to pay off.
# PYTHONDONTWRITEBYTECODE is cleared so that the commands started by tests reuse compiled bytecode.
test: $(READY)  ## run all tests, one process per core; files with slow tests first
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

check: $(READY)  ## check style, types, import layers and spelling, and build the documentation
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(MAKE) --no-print-directory docs

docs: $(READY)  ## build the documentation in site/
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -b html docs site

bench: $(READY)  ## measure speed and memory against plain reference implementations; writes docs/explanation/performance.md
	$(BIN)/python benchmarks/speed/performance.py $(ANNOTATIONS)

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv demo site .pytest_cache .mypy_cache .ruff_cache .hypothesis

# venv needs ensurepip, which Debian packages separately in python3-venv.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; name one with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv; } \
		|| { echo "python3-venv is needed: sudo apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)
