# make demo               install into .venv, run the demo sweep, print its leaderboard
# make test               install into .venv; lint, types, the examples in docstrings, and the tests but for the long ones
# make test PART=optim    the tests and examples of one part (or of several: PART="optim launch/faults")
# make test-all           make test, then the long tests; PART as above
PYTHON ?= python3
BIN := .venv/bin
# How many processes test, and check types, at once.
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PART ?=
# Parts whose docstrings have examples.
EXAMPLES := optim losses stats

PYTEST := $(BIN)/pytest --numprocesses $(JOBS)
PATHS := $(foreach part,$(PART),$(wildcard tests/$(part) tests/test_$(part).py) \
	$(if $(filter $(part),$(EXAMPLES)),$(wildcard src/bakeoff/$(part))))

.NOTPARALLEL:
.PHONY: demo test test-all lint types tests long-tests clean

# Made again when the package's needs change, not when its code does: the install is editable.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/installed
	$(BIN)/bakeoff -m optimizer=sgd,rmsprop,adam loss=cross_entropy,mse,hinge batch_size=16,128,full seed=0,1,2 experiment=demo
	@echo "open it: $(BIN)/tensorboard --logdir outputs/demo    then http://localhost:6006/#bakeoff"

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed
	$(BIN)/mypy --num-workers $(JOBS)

ifneq ($(strip $(PART)),)
ifeq ($(strip $(PATHS)),)
$(error no tests of $(PART): a part is a folder of tests/, or models for tests/test_models.py)
endif
test: tests
else
test: lint types tests
endif

test-all: test long-tests

tests: .venv/installed
	$(PYTEST) $(PATHS)

long-tests: .venv/installed
	$(PYTEST) -m long $(PATHS) || test $$? = 5    # 5: the part has no long tests

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache
