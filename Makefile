# Every target does all the set-up it needs: a virtual environment in .venv, installed through constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check docs bench format clean

demo: $(READY)  ## the whole path on features that come with the package; writes demo/report.html
	$(BIN)/sola demo --out demo --overwrite

# the tests' arrays are so small that a second thread only waits for the first: a process a core instead; and the many
# commands that they start shall not compile the package again each time, whatever the machine's environment says
test: $(READY)  ## every test, a process a core; files with slow tests first
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

check: $(READY)  ## style, spelling, types, the direction of imports, and the documentation site
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(MAKE) --no-print-directory docs

docs: $(READY)  ## the documentation site, in site/
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -b html docs site

bench: $(READY)  ## the speed and memory figures, each beside its plain definition; writes docs/performance.md
	$(BIN)/python benchmarks/speed/performance.py $(ANNOTATIONS)

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv demo site .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Debian's python3 comes without ensurepip, which venv needs; its package brings it.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; name one with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv; } \
		|| { echo "python3-venv is needed: sudo apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)
