# make serve    install what is needed and serve the dashboard (PORT, DATA_DIR, REDIS_URL)
# make test     install what is needed, a Chromium included, and run all tests
# make test-all the slow tests as well
# make bench    benchmarks      make lint    ruff and mypy      make clean    drop caches      make distclean    and .venv

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
# Two workers, a file of tests to each at a time, shared out
# as tests/sharing_out.py says: with a third, browsers wait in vain. Tests marked slow are run by make test-all.
WORKERS ?= -n 2 --dist loadfile

# 'threadsafe' lets Numba take tbb or omp and nothing else: its third layer, workqueue, kills the process when two
# threads compute at once. The wheel brings omp, which needs the system's libgomp. GNU OpenMP does not survive a fork
# after the first parallel loop, so work in other processes has to start by spawn.
NUMBA_THREADING_LAYER ?= threadsafe
export NUMBA_THREADING_LAYER
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Where bytecode is neither installed nor kept each process compiles all sources that it imports: 5 s instead of none.
export PYTHONDONTWRITEBYTECODE =

.PHONY: install serve test test-all bench lint clean distclean
.DELETE_ON_ERROR:

install: $(VENV)/.installed

$(VENV)/.created:
	@.ci/install-python $(PYTHON)
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# uv where it is at hand, because it is faster; pip where it is not, or where only pip knows the way to an index. Bytecode
# is left to the first import: most of what packages bring is never imported, and compiling it takes 20 s.
$(VENV)/.installed: pyproject.toml | $(VENV)/.created
	@echo "installing into $(VENV)"
	@if command -v uv >/dev/null 2>&1 && uv pip install --quiet --python $(BIN)/python -e ".[test]"; then :; \
	else $(BIN)/python -m pip install -qq --no-input --no-compile -e ".[test]"; fi
	@touch $@

$(VENV)/.lint: pyproject.toml | install
	@$(BIN)/python -m pip install -qq --no-input -e ".[lint]"
	@touch $@

serve: install
	@exec $(BIN)/python -m dashboard

# Kernels are compiled once before the workers start, while a Chromium is looked for or installed; else each worker and
# each server it starts would compile them.
READY = $(BIN)/python -m engine.warm & warm=$$!; \
	CHROMIUM="$$(.ci/install-browser $(BIN)/python)" && export CHROMIUM && wait $$warm

test: install
	@$(READY) && exec $(BIN)/python -m pytest $(WORKERS) -m "not slow" $(PYTEST_ARGS)

test-all: install
	@$(READY) && exec $(BIN)/python -m pytest $(WORKERS) $(PYTEST_ARGS)

bench: install
	@exec $(BIN)/python -m pytest tests/benchmarks -o python_files='bench_*.py test_*.py' -s $(PYTEST_ARGS)

lint: $(VENV)/.lint
	@$(BIN)/ruff check .
	@$(BIN)/mypy

clean:
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results build dist
	@find engine dashboard data tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	@rm -rf $(VENV)
