# make report [PRESET=quick|standard|smoke|full]   make test   make lab   make lint   make mutate   make docs   make lock
PRESET ?= quick
PYTHON ?= python3.11
PYTEST ?= -n 2 --dist loadfile
BIN := .venv/bin

.PHONY: report test lab lint mutate docs lock

report: .venv/ready
	$(BIN)/edgebook run params/$(PRESET).yaml

test: .venv/ready
	$(BIN)/python -m pytest $(PYTEST)

lab: .venv/ready
	$(BIN)/jupyter lab notebooks

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python

# which changes of an operator or a number in the metrics, the choice and the aggregation does no test notice? docs/mutation.md
mutate: .venv/ready
	rm -rf .mutate && mkdir .mutate
	cp -R lib .mutate/src && cp -R tests notebooks params devices.yaml pyproject.toml .mutate
	cd .mutate && ../$(BIN)/mutmut run
	cd .mutate && ../$(BIN)/mutmut results

# pip chooses the PyTorch build that suits the machine, uv installs the rest several times faster; both from the lock file,
# whole: chosen in two steps, versions do not go together
.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --constraint requirements.lock torch uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	touch $@

# docs/_build/html/index.html, without the network; a broken link ends it
docs: .venv/ready
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html

# after a change of pyproject.toml: one resolution for Python 3.11 to 3.13 on every platform, which keeps the versions of
# the present lock where it can (make lock UPGRADE=--upgrade renews all). The CUDA packages are left out: a PyTorch build
# that needs them asks for them itself
lock: .venv/ready
	cp requirements.lock requirements.all
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --all-extras --group dev $(UPGRADE) \
	  --constraint constraints.txt pyproject.toml --output-file requirements.all
	grep -vE '^(nvidia-|cuda-|triton)' requirements.all > requirements.lock && rm requirements.all
