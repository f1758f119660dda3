# Each target does the set-up it needs; a bare machine has Python 3.11 and pip.
PYTHON ?= python3

# Developers have this checkout installed in .venv, editable. Continuous integration has the wheel,
# in an environment of its own, and runs the kernel's tests under sanitizers as well.
ifdef CI
VENV := build/venv
HPO = $(shell echo dist/*.whl)
HPO_SOURCES := wheel
TESTED := $(VENV)
else
VENV := .venv
HPO := .
HPO_SOURCES := pyproject.toml $(wildcard hpo/training/*.c hpo/training/*.h)
TESTED := hpo
endif
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/pip install --quiet --constraint constraints.txt
PYTEST := $(CURDIR)/$(BIN)/pytest -n 3  # of two cores: real processes are waited for

.PHONY: install run test lint docs wheel sanitize bench evidence \
evidence-of-speed evidence-of-service evidence-of-method

install: $(VENV)/installed

run: install
	$(BIN)/hpo run studies/airline.toml

# From outside the root, where no process takes the checkout's hpo for the installed one.
test: lint $(if $(CI),sanitize)
	cd tests && TESTED_HPO=$(CURDIR)/$(TESTED) $(PYTEST) --pyargs . hpo

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation, in build/site: without a network, and a warning is an error.
docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Minutes each, and only on an otherwise idle machine do the numbers mean anything.
bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/profile_study.py
	$(BIN)/python benchmarks/service.py --workers 1,8 --databases PostgreSQL
	$(BIN)/python benchmarks/dashboard.py

# The numbers that the pages in docs/evidence rest on: some hours, kept in build/ as they come.
evidence: evidence-of-speed evidence-of-service evidence-of-method

EVIDENCE := docs/evidence/speed
AS_AVX2 := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2
evidence-of-speed: $(VENV)/installed-dev
	mkdir -p $(EVIDENCE)
	$(BIN)/python benchmarks/engine.py > $(EVIDENCE)/steps.txt
	$(BIN)/python benchmarks/engine.py --threads 2 --layers 1 --rounds 30 > $(EVIDENCE)/steps-two-threads.txt
	$(AS_AVX2) $(BIN)/python benchmarks/engine.py --kernel avx2 > $(EVIDENCE)/steps-avx2.txt
	$(BIN)/python benchmarks/peers.py > $(EVIDENCE)/peers.txt
	$(BIN)/python benchmarks/profile_study.py --trials 60 --cells 8:48 --max-steps 6000 \
	> $(EVIDENCE)/profile-oil.txt
	$(BIN)/python benchmarks/trials_at_once.py airline gdp --seeds 3 --threads 1 > $(EVIDENCE)/trials-at-once.txt
	$(BIN)/python benchmarks/engine.py --cells 2,8,32,128 --layers 1,3 --inputs 1,8 --steps 12,168 \
	--batch 32,128 --rounds 3 > $(EVIDENCE)/steps-shapes.txt
	$(BIN)/python benchmarks/engine.py --cells 64,96,128 --layers 2,3 --steps 12,48 --rounds 3 \
	> $(EVIDENCE)/steps-limit.txt

SERVICE_EVIDENCE := docs/evidence/service
evidence-of-service: $(VENV)/installed-dev
	mkdir -p $(SERVICE_EVIDENCE)
	$(BIN)/python benchmarks/service.py > $(SERVICE_EVIDENCE)/shared-studies.txt
	$(BIN)/python benchmarks/killed_workers.py > $(SERVICE_EVIDENCE)/killed-workers.txt

METHOD_EVIDENCE := docs/evidence/method
evidence-of-method: $(VENV)/installed-dev
	mkdir -p $(METHOD_EVIDENCE)
	$(BIN)/python benchmarks/truth.py > $(METHOD_EVIDENCE)/truth.txt
	$(BIN)/python benchmarks/truth.py --first 0 --only teacher > $(METHOD_EVIDENCE)/truth-tuned-on.txt
	$(BIN)/python benchmarks/steadiness.py > $(METHOD_EVIDENCE)/steadiness.txt
	$(BIN)/python benchmarks/landscapes.py > $(METHOD_EVIDENCE)/landscapes.txt
	$(BIN)/python benchmarks/hidden_folds.py > $(METHOD_EVIDENCE)/hidden-folds.txt
	$(BIN)/python benchmarks/intervals.py > $(METHOD_EVIDENCE)/intervals.txt
	$(BIN)/python benchmarks/alpha_rule.py > $(METHOD_EVIDENCE)/alpha-rule.txt
	$(BIN)/python benchmarks/oil_and_gdp.py > $(METHOD_EVIDENCE)/oil-and-gdp.txt
	$(BIN)/python benchmarks/method_figures.py
	$(BIN)/python benchmarks/grown_starts.py > $(METHOD_EVIDENCE)/grown-starts.txt
	$(BIN)/python benchmarks/rivals.py > $(METHOD_EVIDENCE)/rivals.txt
	$(BIN)/python benchmarks/preprocessing.py > $(METHOD_EVIDENCE)/m3-preprocessing.txt
	$(BIN)/python benchmarks/preprocessing.py --sets m3 --metric smape \
	--only log,season,anchor,fitted,scale > $(METHOD_EVIDENCE)/m3-steps.txt
	$(BIN)/python benchmarks/m3.py > $(METHOD_EVIDENCE)/m3.txt

# One file in dist/ for this system and kind of processor, and for Python 3.11 and all later ones.
wheel: $(BIN)/python
	rm -rf dist build/lib* build/temp* build/bdist*
	$(PIP_INSTALL) setuptools
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@$(BIN)/python -m zipfile --list dist/*.whl | grep training/_native.abi3.so || { rm dist/*.whl; \
	echo "no wheel without the native engine: install a C compiler and Python's headers" >&2; false; }

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch first and pinned: a wider requirement may fetch gigabytes of CUDA packages.
$(VENV)/torch: constraints.txt | $(BIN)/python
	$(PIP_INSTALL) torch
	touch $@

$(VENV)/installed: $(VENV)/torch $(HPO_SOURCES)
	$(PIP_INSTALL) $(if $(CI),,--editable) '$(HPO)'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP_INSTALL) $(if $(CI),,--editable) '$(HPO)[dev]'
	touch $@

# The kernel's tests on a kernel that ends its process at any access outside its arrays and at any
# undefined behaviour. Left out: what takes long or limits memory, and asks the kernel nothing new.
SANITIZED := build/sanitized
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g

sanitize: $(VENV)/installed-dev
	rm -rf $(SANITIZED) && mkdir -p $(SANITIZED) && cp -r hpo $(SANITIZED)
	$(MAKE) --jobs 2 $(SANITIZED)/hpo/training/_native.abi3.so
	cd tests && LD_PRELOAD=$$($(CC) -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 \
	PYTHONPATH=$(CURDIR)/$(SANITIZED) TESTED_HPO=$(CURDIR)/$(SANITIZED) \
	$(PYTEST) --capture=sys contract unit/training packaging/test_origin.py \
	-k '(native and not (hears or memory or double)) or what_is_tested'

COMPILED := $(wildcard hpo/training/native.c hpo/training/kernel_*.c)
$(SANITIZED)/hpo/training/_native.abi3.so: $(COMPILED:hpo/training/%.c=$(SANITIZED)/%.o)
	$(CC) -shared $(SANITIZE) $^ -lm -o $@

$(SANITIZED)/%.o: hpo/training/%.c
	$(CC) -c -fPIC -std=gnu11 -O1 $(SANITIZE) \
	-I$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))') $< -o $@
