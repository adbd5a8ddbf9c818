# Two commands: `make demo` and `make test`. Each sets up what it needs in .venv and nowhere else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check bench train-pocket docs clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Vesalius needs Python 3.11 or newer: run make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP) ## ask real DICOM studies, through the gate, with pictures of the evidence
	$(BIN)/python examples/demo.py

test: $(STAMP) ## static checks and all tests
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n auto -q

check: $(STAMP) ## as test, with coverage
	$(BIN)/python -m pytest -n auto -q --cov --cov-report=term-missing:skip-covered

bench: $(STAMP) ## speed, side by side in one run
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/answer_latency.py
	$(BIN)/python benchmarks/questioned_answer.py

train-pocket: $(STAMP) ## make the shipped weights again: minutes on a GPU, hours without; needs VESALIUS_DATA
	$(BIN)/vesalius train recipes/pocket.toml --resume
	$(BIN)/vesalius train recipes/pocket-consistent.toml --resume
	cp runs/pocket-consistent/pocket.safetensors runs/pocket-consistent/about.json src/vesalius/models/pocket_weights/
	cp runs/pocket/curve.png docs/pictures/training.png
	@echo "Then fit the policy's calibration anew: python -m vesalius.evaluate.calibrate"

docs: $(STAMP) ## generate what the documentation takes from the code
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist demo-out
