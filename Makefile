# make smoke   every notebook, small, in minutes          make test   the tests
# make results the committed reference results again      make lab    JupyterLab on the notebooks
# make faults  what is broken on purpose, within an hour; a run that is stopped goes on where it was
# Needs git, make and Python >= 3.11 with venv (name another with PYTHON=python3.12). Set-up runs once, into .venv.
# make smoke CPU=1 sets up a PyTorch without CUDA on Linux, by uv from PyTorch's own index: 0.2 GB instead of 5.5

PYTHON ?= python3
VENV   ?= .venv
CPU    ?=
READY  := $(VENV)/.ready
EASEL  := $(VENV)/bin/easel

.PHONY: smoke test mutants faults results lab clean
smoke: $(READY)
	$(EASEL) run --profile smoke

results: $(READY)
	$(EASEL) run --profile laptop

test: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal

mutants: $(READY)
	$(VENV)/bin/python tests/mutants.py

faults: $(READY)
	$(VENV)/bin/python tests/faults

lab: $(READY)
	$(VENV)/bin/jupyter lab --ip=127.0.0.1 notebooks

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "easel needs Python >= 3.11, and '$(PYTHON)' is not: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
ifeq ($(CPU),)
	@echo "setting up $(VENV), once: PyTorch is a large download (5.5 GB on Linux; make CPU=1 takes one without CUDA)"
	$(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements.lock
else
	$(MAKE) $(VENV)/cpu.lock
	$(VENV)/bin/python -m pip install --quiet uv
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --torch-backend cpu --no-deps \
	  $$(sed -nE 's/^(torch(vision)?==[0-9.]+).*/\1/p' requirements.lock)
	$(VENV)/bin/python -m pip install --quiet --no-deps --require-hashes -r $(VENV)/cpu.lock
endif
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/cpu.lock: requirements.lock
	awk '/^[a-z0-9]/ { keep = !/^(torch|torchvision|triton|nvidia-[a-z0-9-]*|cuda-[a-z0-9-]*)==/ } keep' $< > $@

clean:
	rm -rf $(VENV) lib/easel.egg-info
