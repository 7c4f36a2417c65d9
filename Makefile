# One User, Many Interests: every command of the project. `make help` lists them.
# Needs git, make and Python 3.11, 3.12 or 3.13; everything else goes into .venv. Written for make 3.81 and a POSIX sh.

VENV = .venv
PY = $(VENV)/bin/python
PORT = 8000
ONLY =

# Where CPU builds of torch are, for machines on which pip's default would bring the GPU libraries.
TORCH_CPU_INDEX = https://download.pytorch.org/whl/cpu

# The Python that makes .venv: the first of these that is 3.11 to 3.13. Or name one: make PYTHON=/path/to/python3.12
PYTHON =
PYTHONS = python3.11 python3.12 python3.13 python3 python

.PHONY: help book test check notebooks experiments bench serve install install-here clean env

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

book: env ## make the environment, execute the notebooks, build the site, say where to open it
	@$(PY) tools/book.py

test: env ## run all tests: units, every notebook against its stored output, the built site in a browser
	@$(PY) tools/chromium.py
	@$(PY) tools/book.py
	@$(PY) -m pytest -p no:randomly --nbval --nbval-current-env --durations=10 notebooks tests

check: env ## in under two minutes: format, lint, types of mi_lite, unit tests
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy mi_lite
	@$(PY) tools/notebooks.py --check
	@$(PY) -m pytest -p no:randomly -q -m "not kernel and not browser and not site" --ignore=tests/test_site.py --ignore=tests/test_browser.py tests

notebooks: env ## execute all notebooks (ONLY=02_squash: one), normalise and store them
	@$(PY) tools/notebooks.py --execute $(ONLY)
	@$(PY) tools/picture.py

experiments: env ## run the stored experiments (ONLY=NAME: one); what is done already is not done again
	@$(PY) tools/run_all.py experiments $(ONLY)

bench: env ## measure speed and memory beside torch-rechub, print tables, write JSON (ONLY=NAME: one)
	@$(PY) -m pip install -q --no-deps --upgrade --target $(VENV)/bench -r benchmarks/requirements.txt
	@$(PY) tools/run_all.py benchmarks $(ONLY)

serve: env ## show the built site at http://127.0.0.1:8000 (PORT=9000: elsewhere)
	@$(PY) book/serve.py --port $(PORT)

install: env ## make or refresh the environment only
	@echo "The environment is $(VENV)."

install-here: ## install into the Python you name instead of .venv (Binder): make install-here PYTHON=python
	@"$(PYTHON)" tools/environment.py --here --torch-cpu-index "$(TORCH_CPU_INDEX)"

clean: ## remove what was built; the environment and the data stay (rm -r .venv removes the environment)
	rm -rf _build build .pytest_cache .mypy_cache .ruff_cache .hypothesis mi_lite.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

env:
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
	  for name in $(PYTHONS); do \
	    if "$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; \
	    then python="$$name"; break; fi; \
	  done; \
	fi; \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.11, 3.12 or 3.13 was found (looked for: $(PYTHONS))." >&2; \
	  echo "Debian or Ubuntu: sudo apt install python3 python3-venv   macOS: brew install python@3.12" >&2; \
	  echo "Or name one: make PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	command -v "$$python" >/dev/null || { echo "There is no $$python." >&2; exit 1; }; \
	"$$python" tools/environment.py --venv "$(VENV)" --torch-cpu-index "$(TORCH_CPU_INDEX)"
