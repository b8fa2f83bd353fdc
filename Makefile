# Two commands for everybody: `make demo` and `make test`. The rest is for those who work on pocketscope.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := envs/requirements.lock
READY := $(VENV)/ready

# Without a home, as users of containers may be, Snakemake does not begin.
HOME ?= $(CURDIR)/$(VENV)
export HOME

.PHONY: install demo open ship test test-browser test-cluster test-imagej test-notebooks lint format lock schema notebooks \
	clean clean-results help

help:
	@echo "make demo    install into .venv and run the demo: ten minutes without a GPU"
	@echo "make open    label, train and look in the browser (FOLDER=...)"
	@echo "make ship    train the recommended network on every label, and answer for the unlabelled images (CONFIG=...;"
	@echo "             REFRESH=yes: learn from files that came since, and compare anew)"
	@echo "make install  install into .venv, the command pocketscope too; the others do it where it is due"
	@echo "make test    unit, DAG and workflow tests"
	@echo "make test-browser  the pages in Chromium, the phone's in WebKit and Firefox too, where these are installed"
	@echo "make test-notebooks  the notebooks of notebooks/, cell by cell: some minutes"
	@echo "make test-cluster  a study on a SLURM cluster of two nodes, through faults: up to half an hour"
	@echo "make lint    check style, code, imports and workflow"
	@echo "make format  bring the code into the project's style"
	@echo "make schema  write the configuration's JSON schema"
	@echo "make notebooks  write the notebooks of notebooks/ anew"
	@echo "make lock    resolve the dependencies of pyproject.toml anew"
	@echo "make clean   remove .venv and caches; results stay"
	@echo "make clean-results  delete the results of every study: shows them and asks (CONFIRM=yes: does not ask)"

# A path with a space in it: Snakemake and the scripts in a virtual environment cannot be relied on there.
NO_SPACES = $(if $(filter 1,$(words $(CURDIR))),,$(error the path of this checkout, "$(CURDIR)", holds a space: move \
	the checkout to a path without one))

# uv installs the CUDA build of torch in seconds where pip takes minutes; it runs without a GPU too. Compiled once, here:
# each job is a process of its own, and would compile what it imports where Python may not keep that. The checkout itself
# comes last and is not copied (-e), so that commands and rules run what stands here.
$(READY): $(LOCK) pyproject.toml
	$(NO_SPACES)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pocketscope needs Python 3.11 or newer")'
	$(PYTHON) -c 'import shutil, sys; sys.exit(sys.version_info >= (3, 14) and not shutil.which("cc") and "Python 3.14 \
	needs a C compiler, for a part of Snakemake (immutables): install one, or say make PYTHON=python3.13")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r $(LOCK)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

# Also where it was done before: another copy of pocketscope may have taken the checkout's place.
install:
	rm -f $(READY)
	$(MAKE) --no-print-directory $(READY)

demo: $(READY)
	$(BIN)/snakemake

# make open FOLDER=my-images
open: $(READY)
	$(BIN)/pocketscope open $(FOLDER)

# make ship CONFIG=config/own-images.yaml; REFRESH=yes: learn from new files too, and compare anew.
ship: $(READY)
	$(if $(filter yes,$(REFRESH)),$(BIN)/pocketscope refresh $(if $(CONFIG),--configfile $(CONFIG)))
	POCKETSCOPE_PIN=yes $(BIN)/snakemake ship $(if $(CONFIG),--configfile $(CONFIG))

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/workflow tests/dag tests/unit

# Skipped, with the reason, where there is no Chromium.
test-browser: $(READY)
	$(BIN)/python -m pytest tests/browser

# Skipped, with the reason, where there is no ImageJ or no Xvfb.
test-imagej: $(READY)
	$(BIN)/python -m pytest tests/imagej -rs

test-notebooks: $(READY)
	$(BIN)/python -m pytest tests/notebooks

# Skipped, with the reason, where no SLURM can be installed; it stops what it started.
test-cluster: $(READY)
	$(BIN)/python -m pytest tests/slurm -rs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/snakefmt --check --compact-diff Snakefile rules
	$(BIN)/snakemake --lint

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

schema: $(READY)
	$(BIN)/pocketscope schema > config/config.schema.json

notebooks: $(READY)
	$(BIN)/python notebooks/make.py

lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --extra formats --extra workflow --extra slurm --extra dev --universal \
		--generate-hashes --python-version 3.11 --no-header --quiet --output-file $(LOCK)
	$(BIN)/python envs/environment.py > envs/environment.yaml

clean:
	rm -rf $(VENV) .snakemake .pytest_cache .ruff_cache .hypothesis
	rm -rf build workflow_scripts/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Results are days of computing: nothing goes before it was shown, and a person, or CONFIRM=yes, said so.
RESULTS := find results -mindepth 1 -maxdepth 1 ! -name README.md
clean-results:
	@if [ -z "$$($(RESULTS))" ]; then echo "results holds nothing to delete"; exit 0; fi; \
	echo "To be deleted:"; $(RESULTS) -exec du -sh {} +; \
	if [ "$(CONFIRM)" != yes ]; then \
		if [ ! -t 0 ]; then echo "Nothing is deleted: nobody can be asked here; say CONFIRM=yes" >&2; exit 1; fi; \
		printf "Delete all of it? Type yes: "; read -r answer; \
		if [ "$$answer" != yes ]; then echo "Nothing is deleted"; exit 1; fi; \
	fi; \
	$(RESULTS) -exec rm -rf {} +
