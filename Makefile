# The two commands: `make notebooks` (or `make lab`) and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# glibc: keep freed memory instead of handing every large tensor back to the system and faulting it
# in again. On two cores that took a fifth of the training time. Ignored where there is no glibc.
export MALLOC_MMAP_THRESHOLD_ ?= 4294967296
export MALLOC_TRIM_THRESHOLD_ ?= 17179869184
export MALLOC_TOP_PAD_ ?= 268435456

# Importing captcha_helpers sets it too; this is for what imports onnxruntime before.
export ORT_DISABLE_TELEMETRY ?= 1

# Whoever names a Python gets it, or is told why not.
VERSION = -c 'import sys; print("%d.%d" % sys.version_info[:2])'
ifeq ($(origin PYTHON),command line)
ifneq ($(wildcard $(BIN)/python),)
ifneq ($(shell $(PYTHON) $(VERSION) 2>&1),$(shell $(BIN)/python $(VERSION) 2>&1))
$(error $(VENV) has Python $(shell $(BIN)/python $(VERSION)); to use $(PYTHON), remove it first: rm -rf $(VENV))
endif
endif
endif

.DEFAULT_GOAL := help
.PHONY: help install notebooks record exercises translate translate-status lab colab test check quick lowest newest stores lint types docs samples fonts picture pretrained chinese models readme benchmark wheel constraints repository soak clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

install: $(STAMP)  ## Create .venv with the pinned packages (the commands below do it themselves)

# The last file keeps what TensorFlow's C++ code logs in the terminal and out of the notebooks.
$(STAMP): pyproject.toml constraints.txt tools/ipython_kernel_config.json
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "This project needs Python 3.10-3.13, but '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one, for example: make notebooks PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[test]'
	mkdir -p $(VENV)/etc/ipython && cp tools/ipython_kernel_config.json $(VENV)/etc/ipython/
	@touch $@

# Into a folder beside them, from which their links lead to the same places; nothing tracked changes.
notebooks: export CAPTCHA_HELPERS_RESULTS := $(CURDIR)/executed/results
notebooks: $(STAMP)  ## Execute every notebook in order, into executed/; print the results
	$(BIN)/python -m tools.run_notebooks --out executed "" solutions/
	@$(BIN)/python -m captcha_helpers.results

record: $(STAMP)  ## Execute them in place, to publish what they show and measure; update the tables
	$(BIN)/python -m tools.run_notebooks "" solutions/
	@$(BIN)/python -m tools.translate
	@$(BIN)/python -m tools.update_readme
	@$(BIN)/python -m captcha_helpers.results

exercises: $(STAMP)  ## Put the exercises of notebooks/solutions into the notebooks
	$(BIN)/python -m tools.exercises

translate: $(STAMP)  ## Write the notebooks in other languages (RELEASE=1 refuses what is stale)
	@$(BIN)/python -m tools.translate $(if $(RELEASE),--release)

translate-status: $(STAMP)  ## Say what of them is translated, stale or wrong
	@$(BIN)/python -m tools.translate --status

lab: $(STAMP)  ## Open JupyterLab
	$(BIN)/jupyter lab --notebook-dir=. --LabApp.default_url=/lab/tree/notebooks

COLAB ?= dist/captcha-helpers-colab.zip

# Needs git and nothing else. What is committed goes into it.
colab:  ## Make dist/captcha-helpers-colab.zip, all that the notebooks need on Colab
	mkdir -p "$(dir $(COLAB))"
	git archive --format=zip --prefix=captcha-helpers/ --output="$(COLAB)" HEAD \
	  captcha_helpers captcha_images docs/images benchmarks/pretraining notebooks notebooks_zh-CN results \
	  tools/install_here.py tools/ipython_kernel_config.json \
	  pyproject.toml constraints.txt README.md LICENSE

TESTS = $(BIN)/python -m pytest -n 2 --dist loadfile

# Two notebooks at a time, but for the one that trains by the clock.
NBVAL = CAPTCHA_HELPERS_RESULTS="$(CURDIR)/build/results" $(BIN)/python -m pytest \
  --nbval --nbval-current-env --nbval-cell-timeout=1200
TIMED = notebooks/07_your_own_captchas.ipynb

test: $(STAMP) lint types  ## Everything that CI runs: lint, unit tests, doctests, all notebooks
	$(TESTS)
	rm -rf build/results
	$(NBVAL) -n 2 --dist loadfile notebooks --ignore=$(TIMED)
	$(NBVAL) $(TIMED)

check: $(STAMP) lint types  ## Lint, types, unit tests and doctests only, with coverage (twenty minutes)
	$(TESTS) --cov --cov-report=json:build/coverage.json
	-@$(BIN)/python -m tools.coverage_table build/coverage.json

# Two processes, of which one imports TensorFlow; two workers of xdist would both, and collect all.
QUICK = PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(BIN)/python -m pytest -p no:cacheprovider -p no:logging \
  -p _hypothesis_pytestplugin -m "not slow and not browser" --hypothesis-profile=quick
NO_KERAS = $(foreach name,charset metrics decoder calibration robustness split messages,%/test_$(name).py)
IMPORT_KERAS = captcha_helpers tools $(filter-out $(NO_KERAS),$(wildcard \
  $(foreach room,core learning reading exporting,tests/$(room)/test_*.py) \
  $(foreach name,augment plots processing random_looks web_page pretrain style_models tools package,tests/*/test_$(name).py)))

quick: $(STAMP) lint  ## Lint, and the tests that are neither slow nor need a browser (a minute)
	@mkdir -p build
	@$(QUICK) $(filter-out $(IMPORT_KERAS),$(wildcard tests/*/test_*.py)) >build/quick.log 2>&1 & \
	  other=$$!; $(QUICK) $(IMPORT_KERAS); first=$$?; wait $$other; second=$$?; cat build/quick.log; \
	  exit $$((first | second))

# In environments of their own; uv brings the Python, unless it is installed or pyenv has it, where uv
# does not look. Each takes about 3 GB.
UV = $(or $(wildcard $(BIN)/uv),uv)
python_of_pyenv = $(lastword $(sort $(wildcard $(shell pyenv root 2>/dev/null)/versions/$(1)*/bin/python)))

define quick_tests_with
$(UV) venv --quiet --allow-existing --python $(or $(call python_of_pyenv,$(1)),$(1)) .venv-$@
$(UV) pip install --quiet --python .venv-$@ --resolution $(2) -e '.[test]'
.venv-$@/bin/python -m pytest -n 2 --dist loadfile -m "not slow and not browser"
endef

lowest:  ## Quick tests with the lowest versions of all dependencies, Python 3.10 (needs uv)
	$(call quick_tests_with,3.10,lowest-direct)

newest:  ## Quick tests with the newest versions of all dependencies, Python 3.13 (needs uv)
	$(call quick_tests_with,3.13,highest)

stores:  ## The jobs on a cluster with buckets of S3 and GCS, played on this machine (three minutes)
	$(PYTHON) -m venv .venv-stores
	.venv-stores/bin/python -m pip install --quiet --disable-pip-version-check \
	  -e '.[scale,train]' s3fs 'moto[server]' gcsfs gcp-storage-emulator hypothesis psutil pytest
	.venv-stores/bin/python -m pytest tests/scaling/test_scaling.py -k bucket

SOAK ?= 720

soak: $(STAMP)  ## Ends, faults and damaged files at random for an hour (SOAK=seconds for each fifth)
	CAPTCHA_HELPERS_SOAK=$(SOAK) CAPTCHA_HELPERS_REPORT=docs/reliability.md \
	  $(BIN)/python -m pytest -p no:cacheprovider -p no:logging \
	  tests/integration/test_endurance.py tests/integration/test_hostile_files.py

lint: $(STAMP)  ## Lint only (seconds)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)  ## Check the types of the package and the tools
	$(BIN)/mypy

# In an environment of its own, so that a test run needs none of its packages.
docs: .venv-docs/.installed  ## Build the site into build/site; fails over any warning or broken link
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build --strict

.venv-docs/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

samples: $(STAMP)  ## Draw captcha_images/ again, pixel for pixel
	$(BIN)/python -m captcha_helpers.drawing.samples captcha_images

fonts: $(STAMP)  ## Fetch the fonts that only the pre-training draws with (needs npm; some minutes)
	$(BIN)/python -m tools.fonts

picture: $(STAMP)  ## Record the moving picture of the READMEs (needs npm; three minutes, idle machine)
	$(BIN)/python -m tools.terminal_picture

pretrained: $(STAMP)  ## Pre-train the general reader for one more hour (after make fonts)
	$(BIN)/python -m tools.pretrain --init captcha_helpers/assets/weights/general.npz --seed 1

chinese: $(STAMP)  ## Pre-train the reader of Chinese for one more hour (needs npm for its fonts)
	$(BIN)/python -m tools.fonts --chinese
	$(BIN)/python -m tools.pretrain_chinese --init captcha_helpers/assets/weights/chinese.npz --seed 1 --short 0

models: $(STAMP)  ## Make the shipped readers of the styles and their cards anew (an hour)
	$(BIN)/python -m tools.style_models

readme: $(STAMP)  ## Put results/*.json into the tables of the READMEs
	$(BIN)/python -m tools.update_readme

benchmark: $(STAMP)  ## Time the generator, images a second on one core (a minute, idle machine)
	$(BIN)/python benchmarks/generator_speed.py --json benchmarks/generator_speed.json

wheel: $(STAMP)  ## Build the package into dist/
	rm -rf build/lib build/bdist.*
	$(BIN)/python -m build --wheel --no-isolation

# A pin that is there stays, so that a new dependency moves none of the others.
constraints:  ## Pin what is not pinned; all anew with UPGRADE=--upgrade (needs uv)
	$(UV) pip compile --universal --python-version 3.10 --all-extras --no-emit-index-url \
	  --no-annotate --custom-compile-command "make constraints" $(UPGRADE) --quiet \
	  pyproject.toml -o constraints.txt

repository: $(STAMP)  ## Set the public address everywhere: make repository REPO=owner/name
	$(BIN)/python -m tools.set_repository "$(REPO)"
	$(BIN)/python -m tools.translate

clean:  ## Remove everything that the commands above made, but no notebook and no result
	rm -rf $(VENV) .venv-docs .venv-lowest .venv-newest .cache executed build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
