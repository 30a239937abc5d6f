# Two commands on a machine with Python >= 3.11, a C++20 compiler and make: `make demo` and `make test`.
# Everything else (cmake, ninja, pybind11, torch, ...) comes from PyPI into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILD := build/release
SANITIZE := build/sanitize
JOBS ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
PYTEST_FLAGS ?=
DEMO_FLAGS ?=
# A file of tests at a time for each of some processes, one more than cores, since parties wait for each other;
# PYTEST_FLAGS="-n 0 --pdb" goes through them in one. Benchmarks are not tests.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p no:benchmark -n $$(($(JOBS) + 1)) --dist loadfile --no-loadscope-reorder
PIP_INSTALL = $(BIN)/python -m pip install --disable-pip-version-check -qq -c constraints.txt

CORE_SOURCES := CMakeLists.txt $(shell find csrc -type f) $(wildcard hls/model/*.json)
PACKAGE_SOURCES := $(shell find python/moiety -type f -not -path '*/__pycache__/*')
CPP_TEST_SOURCES := $(shell find tests/cpp -type f 2>/dev/null)

.PHONY: help demo test test-cpp test-python build bench lint format sanitize wheel clean distclean
.DELETE_ON_ERROR:

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.installed  ## environment, build, and a private inference by three processes on this machine
	$(BIN)/moiety demo $(DEMO_FLAGS)

test: test-cpp test-python  ## environment, build, C++ tests, Python tests

test-cpp: $(BUILD)/.tests  ## only the C++ tests
	$(BIN)/ctest --test-dir $(BUILD) --output-on-failure --parallel $(JOBS)

test-python: $(VENV)/.installed $(VENV)/.env-test  ## only the Python tests (PYTEST_FLAGS="-k relu")
	$(PYTEST) $(PYTEST_FLAGS)

build: $(VENV)/.installed  ## environment and build

bench: $(VENV)/.installed $(VENV)/.env-bench  ## benchmarks of every kernel and protocol; writes bench/*.md
	$(BIN)/python -m pytest bench --benchmark-json=build/bench.json --benchmark-columns=min,median,ops --benchmark-sort=name
	$(BIN)/python bench/run.py --out bench/RESULTS.md $(BENCH_FLAGS)
	for script in predict graphs gnn_epochs sampling concurrency hypergraphs hypergraph_epochs private_hypergraphs topology forecast; do \
	    OMP_NUM_THREADS=1 $(BIN)/python bench/$$script.py || exit; done
	$(BIN)/python bench/run.py --collect --out bench/RESULTS.md

lint: $(VENV)/.installed $(VENV)/.env-dev  ## ruff, mypy, clang-format, codespell, length of files
	$(BIN)/ruff check .
	$(BIN)/mypy
	git ls-files -z -- '*.cpp' '*.hpp' | xargs -0 -r $(BIN)/clang-format --dry-run --Werror
	git ls-files -z -- '*.py' '*.cpp' '*.hpp' '*.md' '*.toml' Makefile | xargs -0 -r $(BIN)/codespell
	$(BIN)/python tools/check_length.py

format: $(VENV)/.env-dev  ## rewrite C++ and Python sources in the project's format
	git ls-files -z -- '*.cpp' '*.hpp' | xargs -0 -r $(BIN)/clang-format -i
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

wheel: $(VENV)/.env  ## a wheel in dist/, checked (tools/check_wheel.py)
	rm -rf dist
	$(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-deps --no-build-isolation \
	    --config-settings=build-dir=$(BUILD) --wheel-dir dist .
	$(BIN)/python tools/check_wheel.py dist/*.whl
	@! grep -q -e '-march=native' -e '-mcpu=native' $(BUILD)/build.ninja || { echo "compiled for this machine only"; exit 1; }

# --- environment: stamps in .venv ----------------------------------------------------------------------------------

$(VENV)/.env: pyproject.toml constraints.txt tools/requirements.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "moiety needs Python >= 3.11; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the build tools and the package's dependencies into $(VENV) ..."
	@$(BIN)/python tools/requirements.py build run > $(VENV)/requirements-env.txt
	@$(PIP_INSTALL) cmake ninja -r $(VENV)/requirements-env.txt
	@touch $@

$(VENV)/.env-%: $(VENV)/.env
	@echo "Installing what the extra '$*' asks for ..."
	@$(BIN)/python tools/requirements.py $* > $(VENV)/requirements-$*.txt
	@$(PIP_INSTALL) -r $(VENV)/requirements-$*.txt
	@touch $@

# --- build: the package as pip installs it, from a build folder that stays -----------------------------------------

$(VENV)/.installed: $(VENV)/.env $(CORE_SOURCES) $(PACKAGE_SOURCES) LICENSE README.md
	@echo "Building and installing moiety (the first time takes some minutes) ..."
	@$(PIP_INSTALL) --no-build-isolation --no-deps --config-settings=build-dir=$(BUILD) \
	    --config-settings=cmake.define.MOIETY_TESTS=ON .
	@touch $@

$(BUILD)/.tests: $(VENV)/.installed $(CPP_TEST_SOURCES)
	$(BIN)/cmake --build $(BUILD) --parallel $(JOBS)
	@touch $@

# --- AddressSanitizer and UndefinedBehaviorSanitizer ----------------------------------------------------------------

# Python is not built with the sanitizer, so its runtime comes first by LD_PRELOAD, with libstdc++ behind it, whose
# exceptions it intercepts; pytest leaves standard error, to which it reports, alone. Leaks are looked for in the C++
# tests only: the interpreter's own would drown ours.
RUNTIME = $(foreach lib,libasan.so libubsan.so libstdc++.so,$(shell $(or $(CXX),c++) -print-file-name=$(lib)))
SANITIZED_TESTS := $(wildcard tests/core tests/ring tests/crypto tests/mpc)

sanitize: $(VENV)/.env-test  ## ASan + UBSan: the C++ tests and the Python tests of the bindings
	$(BIN)/cmake -S . -B $(SANITIZE) -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DMOIETY_SANITIZE=ON -DMOIETY_TESTS=ON \
	    -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DPython_EXECUTABLE=$(abspath $(BIN))/python \
	    -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir)
	$(BIN)/cmake --build $(SANITIZE) --parallel $(JOBS)
	UBSAN_OPTIONS=print_stacktrace=1 $(BIN)/ctest --test-dir $(SANITIZE) --output-on-failure --parallel $(JOBS)
	rm -rf $(SANITIZE)/site
	$(BIN)/cmake --install $(SANITIZE) --prefix $(SANITIZE)/site
	cp -R python/moiety $(SANITIZE)/site/
	LD_PRELOAD="$(RUNTIME)" ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH=$(SANITIZE)/site \
	    $(PYTEST) -p no:cacheprovider --capture=sys --expect-core=$(SANITIZE)/site -m "not slow" $(PYTEST_FLAGS) $(SANITIZED_TESTS)

clean:  ## remove what was built, keep .venv
	rm -rf build dist demo-output $(VENV)/.installed
	find python tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## remove .venv as well
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
