# make report [PRESET=quick|standard|smoke|full]   make test   make lab   make lint
PRESET ?= quick
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: report test lab lint lock

report: .venv/ready
	$(BIN)/edgebook run params/$(PRESET).yaml

test: .venv/ready
	$(BIN)/python -m pytest

lab: .venv/ready
	$(BIN)/jupyter lab notebooks

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# the lock file first and whole: installed in two steps pip finds versions that do not go together
.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	touch $@

# after a change of pyproject.toml: one resolution for Python 3.11 to 3.13 on every platform; the CUDA packages are
# left out, since a PyTorch build that needs them asks for them itself
lock: .venv/ready
	$(PYTHON) -m venv .venv/uv && .venv/uv/bin/pip install --quiet uv
	.venv/uv/bin/uv pip compile --universal --python-version 3.11 --no-annotate --no-header --extra dev \
	  --constraint constraints.txt pyproject.toml --output-file requirements.all
	grep -vE '^(nvidia-|cuda-|triton)' requirements.all > requirements.lock && rm requirements.all
