# make demo   install into .venv, run the demo sweep, print its leaderboard
# make test   install into .venv, then lint, types and all tests
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint types clean

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
	$(BIN)/mypy

test: lint types
	$(BIN)/pytest

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache
