# make demo: from a fresh clone to a comparison report.  make test: the tests.  Both make their own environment.
# make figures: the committed measurements' tables and figures, and the committed runs' reports.
# make test WORKERS=1: one process at a time, by default two, a file of tests to each.
# HASHED=1 installs only files whose sha256 is in requirements.lock (torch's CPU build).
# make soak: commands killed at random moments, what they leave compared.  make fuzz: the readers of files on new broken ones.
# make bench: scan and models beside their peers, in under 15 minutes on two cores.  make bench-harness: metrics, data, streams, intervals.
# make bench-sweep: what a sweep costs beside its points, and how long the full grid takes, in about 15 minutes.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MINUTES ?= 3.5
WORKERS ?= 2

.PHONY: demo test lint soak fuzz bench bench-harness bench-sweep figures clean

INSTALLED := $(VENV)/.installed$(if $(HASHED),-hashed)
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

$(INSTALLED): setup.py pyproject.toml constraints.txt requirements.lock $(wildcard posemamba/csrc/*)
	$(PYTHON) -m venv $(if $(HASHED),--clear) $(VENV)
ifdef HASHED
	$(INSTALL) --require-hashes --requirement requirements.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
else
	$(INSTALL) --constraint constraints.txt --editable '.[dev]'
endif
	touch $@

demo: $(INSTALLED)
	$(BIN)/harness run --model posemamba-xs motionagformer-xxs --data synthetic --frames 9 --minutes $(MINUTES)
	$(BIN)/harness compare report

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile

lint: $(INSTALLED)
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

soak: $(INSTALLED)
	$(BIN)/python -m tests.soak --kills 50

fuzz: $(INSTALLED)
	$(BIN)/python -m tests.fuzz --minutes 5

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.scan --json build/bench-scan.json
	$(BIN)/python -m benchmarks.models --json build/bench-models.json

bench-harness: $(INSTALLED)
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/repeatability.py
	$(BIN)/python -m benchmarks.streaming
	$(BIN)/python -m benchmarks.coverage

bench-sweep: $(INSTALLED)
	$(BIN)/python -m benchmarks.makespan --json build/bench-makespan.json
	$(BIN)/python -m benchmarks.sweep_overhead --json build/bench-sweep.json

# The figures and tables of every committed measurement, and the report of all committed runs, made again from their
# rows, byte for byte. A report's figures are in its page; those beside it (figures/) are not committed.
figures: $(INSTALLED)
	set -e; for rows in results/*/measurements.jsonl; do \
		folder=$$(dirname $$rows); \
		$(BIN)/harness compare cost --results $$folder --from-frames 243 --out $$folder; \
		$(BIN)/harness plot all --results $$folder --out $$folder; \
	done
	set -e; for records in results/*/records.jsonl; do \
		folder=$$(dirname $$records); \
		$(BIN)/harness compare report --results $$folder --out $$folder; \
	done
	$(BIN)/harness plot published --results results --out results

clean:
	rm -rf $(VENV) build *.egg-info posemamba/*.so
